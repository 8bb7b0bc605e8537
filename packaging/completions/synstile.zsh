#compdef synstile
# SPDX-License-Identifier: GPL-2.0-only
# zsh completion of synstile(8). Commands, options and the words that an option takes are read from
# synstile's own help, so that they are always those of the version that is installed.

typeset -ga _synstile_events=(tcp_state half_open_timeout retransmission keepalive attack_start
	attack_progress attack_end verdict stats lost)
typeset -ga _synstile_states=(CLOSED LISTEN SYN-SENT SYN-RECEIVED ESTABLISHED FIN-WAIT-1 FIN-WAIT-2
	CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT)

# name:summary of each command
_synstile_commands() {
	local -a found
	found=(${(f)"$($program help 2>/dev/null | sed -nE 's/^  ([a-z]+) +([^ ].*)/\1:\2/p')"})
	_describe -t commands command found
}

# A line for each option of command $1 (or none: of all commands): -x --long VALUE text; "." for none.
_synstile_options() {
	$program help $1 2>/dev/null |
		sed -nE 's/^  (-.), (--[a-z-]+)/\1 \2/p; s/^      (--[a-z-]+)/. \1/p' |
		sed -E 's/^(..?) (--[a-z-]+)  +(.*)$/\1 \2 . \3/; s/^(..?) (--[a-z-]+) ([^ .][^ ]*)(  +(.*))?$/\1 \2 \3 \5/'
}

# Never waits for long, and never says a word.
_synstile_status() {
	timeout 1 $program $namespace status -j 2>/dev/null </dev/null
}

_synstile_interfaces() {
	local -a found
	if (( $#namespace )); then
		found=(${(f)"$(ip $namespace -o link 2>/dev/null | sed -E 's/^[0-9]+: ([^:@]+).*/\1/')"})
	else
		found=(/sys/class/net/*(N:t))
	fi
	_describe -t interfaces interface found
}

# The words that can stand where the help says $1.
_synstile_words() {
	local -a found
	case $1 in
	IFACE*) _synstile_interfaces ;;
	COMMAND) _synstile_commands ;;
	FILE) _files ;;
	STATE) compadd -- $_synstile_states ;;
	T\[*) _values -s , 'event type' $_synstile_events ;;
	*'|'*) # not N, which stands for something
		found=(${(M)${(s:|:)1}:#[a-z-]##})
		compadd -- $found ;;
	esac
}

# ... of value $2 of option $1.
_synstile_value() {
	local -a found
	case $1 in
	-n | --netns) found=(/run/netns/*(N:t)); compadd -- $found ;;
	-s | --service) compadd -- ${(f)"$(_synstile_status | grep -oE '"service": *"[^"]+"' | cut -d'"' -f4)"} ;;
	-p | --port) compadd -- ${(f)"$(_synstile_status | grep -oE '"port": *[1-9][0-9]*' | grep -oE '[0-9]+')"} ;;
	*) _synstile_words $2 ;;
	esac
}

# What may stand in place $2 (0, 1, ...) behind command $1.
_synstile_positional() {
	local usage first
	usage=$($program help $1 2>/dev/null | sed -nE '1s/^Usage: synstile [a-z]+ ?//p')
	first=${${${usage%% *}#\[}%%\]*}
	if [[ $first == IFACE* ]]; then
		_synstile_interfaces
	elif (( $2 == 0 )); then
		_synstile_words $first
	elif (( $2 == 1 )) && [[ $usage == *'[FILE]'* ]]; then
		_files
	fi
}

_synstile() {
	setopt localoptions extendedglob
	local program=$words[1] command= last= takes= word line
	local -a namespace options fields found
	local -i i place=0
	# an administrator's program may be out of a user's sight
	(( $+commands[$program] )) || [[ -x $program ]] || program=/usr/sbin/synstile
	options=(${(f)"$(_synstile_options)"})
	for (( i = 2; i < CURRENT; i++ )); do
		word=${(Q)words[i]}
		if [[ -n $takes ]]; then
			[[ $last == (-n|--netns) ]] && namespace=(-n $word)
			takes=
		elif [[ $word == -* ]]; then
			last=$word
			for line in $options; do
				fields=(${=line})
				[[ $word == ($fields[1]|$fields[2]) && $fields[3] != . ]] && takes=$fields[3]
			done
		elif [[ -z $command ]]; then
			command=$word
			options=(${(f)"$(_synstile_options $command)"})
		else
			(( place++ ))
		fi
	done
	word=$words[CURRENT]
	if [[ -n $takes ]]; then
		_synstile_value $last $takes
	elif [[ $word == --*=* ]]; then
		for line in $options; do
			fields=(${=line})
			[[ ${word%%=*} == $fields[2] ]] && takes=$fields[3]
		done
		compset -P '*='
		_synstile_value ${word%%=*} $takes
	elif [[ $word == -* ]]; then
		for line in $options; do
			fields=(${=line})
			[[ $fields[1] == . ]] || found+=("$fields[1]:$fields[4,-1]")
			found+=("$fields[2]:$fields[4,-1]")
		done
		_describe -o -t options option found
	elif [[ -z $command ]]; then
		_synstile_commands
	else
		_synstile_positional $command $place
	fi
}

_synstile "$@"
