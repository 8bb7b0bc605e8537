# SPDX-License-Identifier: GPL-2.0-only
# Of the .P that scdoc writes, leaves out those that mean nothing, and moves those that end an indented
# part behind its end: mandoc -T lint warns of them.
/^\.P$/ { held = 1; next }
/^\.RE$/ { print; next }
/^\.(SH|SS|TH)/ { held = 0 }
held && !head { print ".P" }
{ print; held = 0; head = /^\.(SH|SS|TH)/ }
