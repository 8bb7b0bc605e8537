# SPDX-License-Identifier: GPL-2.0-only
# bash completion of synstile(8). Commands, options and the words that an option takes are read from
# synstile's own help, so that they are always those of the version that is installed.

_synstile_events="tcp_state half_open_timeout retransmission keepalive attack_start attack_progress
	attack_end verdict stats lost"
_synstile_states="CLOSED LISTEN SYN-SENT SYN-RECEIVED ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT
	CLOSING LAST-ACK TIME-WAIT"

_synstile_commands() {
	"$program" help 2>/dev/null | sed -nE 's/^  ([a-z]+) +[^ ].*/\1/p'
}

# A line for each option of command $1 (or none: of all commands): -x --long VALUE; "." for none.
_synstile_options() {
	"$program" help "$@" 2>/dev/null |
		sed -nE 's/^  (-.), (--[a-z-]+)/\1 \2/p; s/^      (--[a-z-]+)/. \1/p' |
		sed -E 's/^(..?) (--[a-z-]+)(  .*)?$/\1 \2 ./; s/^(..?) (--[a-z-]+) ([^ ]+)(  .*)?$/\1 \2 \3/'
}

# What option $2 of command $1 takes; nothing: it takes none.
_synstile_takes() {
	local short long value
	while read -r short long value; do
		[ "$2" != "$short" ] && [ "$2" != "$long" ] || [ "$value" = . ] || echo "$value"
	done < <(_synstile_options $1)
}

# Never waits for long, and never says a word.
_synstile_status() {
	timeout 1 "$program" "${namespace[@]}" status -j 2>/dev/null </dev/null
}

_synstile_interfaces() {
	if [ ${#namespace[@]} -gt 0 ]; then
		ip "${namespace[@]}" -o link 2>/dev/null | sed -E 's/^[0-9]+: ([^:@]+).*/\1/'
	else
		ls /sys/class/net
	fi
}

# The words that can stand where the help says $1.
_synstile_words() {
	case "$1" in
	IFACE*) _synstile_interfaces ;;
	STATE) echo "$_synstile_states" ;;
	T\[*) echo "$_synstile_events" ;;
	COMMAND) _synstile_commands ;;
	SERVICE) _synstile_status | grep -oE '"service": *"[^"]+"' | cut -d'"' -f4 ;;
	PORT) _synstile_status | grep -oE '"port": *[1-9][0-9]*' | grep -oE '[0-9]+' ;;
	*"|"*) tr '|' '\n' <<<"$1" | grep -E '^[a-z-]+$' ;; # not N, which stands for something
	esac
}

# ... of value $2 of option $1.
_synstile_value() {
	local before=
	case "$1" in
	-n | --netns) COMPREPLY=($(compgen -W "$(ls /run/netns 2>/dev/null)" -- "$cur")) ;;
	-s | --service) COMPREPLY=($(compgen -W "$(_synstile_words SERVICE)" -- "$cur")) ;;
	-p | --port) COMPREPLY=($(compgen -W "$(_synstile_words PORT)" -- "$cur")) ;;
	*)
		case "$2" in
		FILE) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")) ;;
		*,*) # a list: what is before the last comma stays
			[[ $cur != *,* ]] || before=${cur%,*},
			COMPREPLY=($(compgen -P "$before" -W "$(_synstile_words "$2")" -- "${cur##*,}"))
			compopt -o nospace 2>/dev/null ;;
		*) COMPREPLY=($(compgen -W "$(_synstile_words "$2")" -- "$cur")) ;;
		esac ;;
	esac
}

# What may stand in place $2 (0, 1, ...) behind command $1.
_synstile_positional() {
	local usage first
	usage=$("$program" help "$1" 2>/dev/null | sed -nE '1s/^Usage: synstile [a-z]+ ?//p')
	first=${usage%% *}
	first=${first#[}
	first=${first%%]*}
	case "$2 $first" in
	*" IFACE"*) COMPREPLY=($(compgen -W "$(_synstile_interfaces)" -- "$cur")) ;;
	"0 "*) COMPREPLY=($(compgen -W "$(_synstile_words "$first")" -- "$cur")) ;;
	*) [[ $usage != *"[FILE]"* || $2 != 1 ]] || _synstile_value "" FILE ;;
	esac
}

_synstile() {
	local program=$1 cur=${COMP_WORDS[COMP_CWORD]} command='' last='' takes='' word i place=0
	local -a namespace=()
	# an administrator's program may be out of a user's sight
	command -v "$program" >/dev/null || program=/usr/sbin/synstile
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [ "$word" = = ]; then
			continue # bash has cut --option=value here
		elif [ -n "$takes" ]; then
			[[ $last != -n && $last != --netns ]] || namespace=(-n "$word")
			takes=''
		elif [[ $word == -* ]]; then
			last=$word
			takes=$(_synstile_takes "$command" "$word")
		elif [ -z "$command" ]; then
			command=$word
		else
			place=$((place + 1))
		fi
	done
	[ "$cur" != = ] || cur=
	if [ -n "$takes" ]; then
		_synstile_value "$last" "$takes"
	elif [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$(_synstile_options $command | tr ' ' '\n' | grep ^-)" -- "$cur"))
	elif [ -z "$command" ]; then
		COMPREPLY=($(compgen -W "$(_synstile_commands)" -- "$cur"))
	else
		_synstile_positional "$command" "$place"
	fi
}

complete -F _synstile synstile
