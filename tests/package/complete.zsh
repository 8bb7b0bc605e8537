#!/bin/zsh -f
# SPDX-License-Identifier: GPL-2.0-only
# complete.zsh DIRECTORY PROGRAM LINE...
#
# What an interactive zsh offers when Tab is pressed behind each LINE. DIRECTORY: of _synstile, and
# scratch.
zmodload zsh/zpty zsh/datetime
directory=$1 program=$2
shift 2

# Reads until $1 has come and it is silent for a while; 10 s at most.
gather() {
	local piece
	local -F end=$(( EPOCHREALTIME + 10 )) silent=$(( EPOCHREALTIME + 0.4 ))
	said=
	while (( EPOCHREALTIME < end )) && ! [[ $said == *$1* && $EPOCHREALTIME -gt $silent ]]; do
		if zpty -rt shell piece; then
			said+=$piece
			silent=$(( EPOCHREALTIME + 0.4 ))
		else
			sleep 0.02
		fi
	done
}

zpty -b shell zsh -f -i
zpty -w shell "fpath=($directory \$fpath); path=(${program:h} \$path); stty cols 200"
zpty -w shell "autoload -Uz compinit; compinit -u -d $directory/dump; LISTMAX=0; PS1='>'; echo be''gin"
gather $'begin\r'
for line; do
	zpty -wn shell $line$'\t'
	gather $'\n'
	print -r -- "== $line"
	print -r -- "$said" | sed $'s/\x1b\\[[0-9;?]*[a-zA-Z]/ /g; s/\r//g'
	zpty -wn shell $'\x15'
	gather ''
done
zpty -d shell
