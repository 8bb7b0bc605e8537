// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "instance.h"
#include "log.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#define BPF_FS_MAGIC_ 0xcafe4a11
#define NETNS_DIR     "/run/netns"
#define LOCK_WAIT_MS  5000

static void sleep_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static bool same_file(const char *a, const char *b)
{
	struct stat sa, sb;

	return !stat(a, &sa) && !stat(b, &sb) && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

int encode_name(char *buf, size_t size, const char *name)
{
	size_t n = 0;

	for (; *name; name++) {
		if (n + 4 > size)
			return fail(ENAMETOOLONG, "name too long");
		if (*name == '.' || *name == '%')
			n += sprintf(buf + n, "%%%02x", *name);
		else
			buf[n++] = *name;
	}
	buf[n] = 0;
	return 0;
}

static int netns_path(const char *name, char *path, size_t size)
{
	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return fail(
			EINVAL,
			"\"%s\" is not the name of a network namespace; `ip netns list` shows them",
			name);
	return format(path, size, NETNS_DIR "/%s", name);
}

static int no_netns(const char *name, const char *path)
{
	return fail(errno, "no network namespace \"%s\" (%s: %s); `ip netns list` shows them", name,
		    path, strerror(errno));
}

static int enter(const char *name)
{
	char path[512];
	int fd, err = netns_path(name, path, sizeof(path));

	if (err)
		return err;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return no_netns(name, path);
	err = setns(fd, CLONE_NEWNET);
	if (err)
		err = fail(errno, "cannot enter network namespace \"%s\": %s%s", name,
			   strerror(errno), errno == EPERM ? "; run as root" : "");
	close(fd);
	return err;
}

/* The name under /run/netns of the namespace that we are in. */
static bool own_name(char *name, size_t size)
{
	struct dirent *d;
	char path[512];
	bool found = false;
	DIR *dir = opendir(NETNS_DIR);

	while (dir && !found && (d = readdir(dir))) {
		if (d->d_name[0] == '.' || format(path, sizeof(path), NETNS_DIR "/%s", d->d_name))
			continue;
		found = same_file(path, "/proc/self/ns/net") &&
			!format(name, size, "%s", d->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

static int read_cookie(u64 *cookie)
{
	socklen_t len = sizeof(*cookie);
	int err = 0, fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &len))
		err = fail(errno,
			   "cannot identify the network namespace (SO_NETNS_COOKIE: %s); "
			   "Linux 5.14 or later is needed",
			   strerror(errno));
	close(fd);
	return err;
}

/* A path that is too long for a socket is cut, and told from others by a hash (FNV-1a). */
static void set_sock(struct instance *in, const char *encoded)
{
	u64 hash = 0xcbf29ce484222325ULL;
	const char *at;

	if (!strcmp(encoded, "host"))
		encoded = "control"; /* the one that everybody asks */
	if (snprintf(in->sock, sizeof(in->sock), RUN_DIR "/%s.sock", encoded) <
	    (int)sizeof(in->sock))
		return;
	for (at = encoded; *at; at++)
		hash = (hash ^ (u8)*at) * 0x100000001b3ULL;
	snprintf(in->sock, sizeof(in->sock), RUN_DIR "/%.60s~%016llx.sock", encoded, hash);
}

static int set_paths(struct instance *in)
{
	char encoded[400];
	int err = encode_name(encoded, 200, in->name);

	if (!err)
		err = format(in->pins, sizeof(in->pins), PINS_DIR "/%s", encoded);
	if (!err)
		err = format(in->state, sizeof(in->state), STATE_DIR "/%s.json", encoded);
	if (!err)
		err = format(in->policy, sizeof(in->policy), STATE_DIR "/%s.policy.json", encoded);
	if (!err)
		err = format(in->lock, sizeof(in->lock), RUN_DIR "/%s.lock", encoded);
	if (!err)
		err = format(in->pid, sizeof(in->pid), RUN_DIR "/%s.pid", encoded);
	if (!err)
		set_sock(in, encoded);
	return err;
}

int instance_open(struct instance *in, const char *netns)
{
	struct stat st;
	int err;

	memset(in, 0, sizeof(*in));
	in->lock_fd = -1;
	in->from_initial = same_file("/proc/1/ns/net", "/proc/self/ns/net");
	err = netns ? enter(netns) : 0;
	if (err)
		return err;
	if (netns)
		err = format(in->netns, sizeof(in->netns), "%s", netns);
	else if (!in->from_initial)
		own_name(in->netns, sizeof(in->netns));
	if (!err)
		err = read_cookie(&in->cookie);
	if (err)
		return err;
	if (same_file("/proc/1/ns/net", "/proc/self/ns/net"))
		err = format(in->name, sizeof(in->name), "host");
	else if (in->netns[0])
		err = format(in->name, sizeof(in->name), "ns-%s", in->netns);
	else if (stat("/proc/self/ns/net", &st))
		err = fail(errno, "/proc/self/ns/net: %s; is /proc mounted?", strerror(errno));
	else
		err = format(in->name, sizeof(in->name), "ns-inode-%lu", (unsigned long)st.st_ino);
	return err ? err : set_paths(in);
}

/* The named one, from outside. */
static int name_other(struct instance *in, const char *netns)
{
	char path[512];
	int err = netns_path(netns, path, sizeof(path));

	if (err)
		return err;
	if (access(path, F_OK))
		return no_netns(netns, path);
	if (same_file(path, "/proc/1/ns/net"))
		return 0; /* the host's, by another name */
	return format(in->netns, sizeof(in->netns), "%s", netns);
}

int instance_named(struct instance *in, const char *netns)
{
	struct stat own, host;
	bool elsewhere;
	int err;

	memset(in, 0, sizeof(*in));
	in->lock_fd = -1;
	err = netns ? name_other(in, netns) : 0;
	elsewhere =
		!stat("/proc/1/ns/net", &host) && !same_file("/proc/1/ns/net", "/proc/self/ns/net");
	if (!err && elsewhere && !in->netns[0])
		own_name(in->netns, sizeof(in->netns));
	if (err)
		return err;
	if (in->netns[0])
		err = format(in->name, sizeof(in->name), "ns-%s", in->netns);
	else if (!elsewhere)
		err = format(in->name, sizeof(in->name), "host");
	else if (stat("/proc/self/ns/net", &own))
		err = fail(errno, "/proc/self/ns/net: %s; is /proc mounted?", strerror(errno));
	else
		err = format(in->name, sizeof(in->name), "ns-inode-%lu", (unsigned long)own.st_ino);
	return err ? err : set_paths(in);
}

static bool is_bpffs(void)
{
	struct statfs fs;

	return !statfs(BPFFS, &fs) && (unsigned long)fs.f_type == BPF_FS_MAGIC_;
}

int instance_bpffs(const struct instance *in, bool may_mount)
{
	if (is_bpffs())
		return 0;
	/* ip-netns(8) mounts a fresh /sys for what it runs: the host's pins are out of sight,
	 * and a bpffs mounted here would vanish with the command. */
	if (!in->from_initial)
		return fail(
			ENOENT,
			"the BPF file system is not visible here (%s): `ip netns exec` hides it. "
			"Run `synstile -n %s ...` outside the namespace instead",
			BPFFS, in->netns[0] ? in->netns : "NAME");
	if (!may_mount)
		return fail(ENOENT, "no BPF file system at %s", BPFFS);
	if (mount("bpf", BPFFS, "bpf", 0, "mode=0700"))
		return fail(errno,
			    "cannot mount the BPF file system at %s: %s; try `mount -t bpf bpf %s`",
			    BPFFS, strerror(errno), BPFFS);
	debug("mounted the BPF file system at %s", BPFFS);
	return 0;
}

/* Has any process but this one a /proc/PID/`file` of this inode: "ns/net", or a file below net/,
 * which each network namespace has one of? Who may not see others is in doubt: yes. */
static bool has_company(const char *file, unsigned long inode)
{
	char path[300];
	struct dirent *d;
	struct stat st;
	bool found = access("/proc/1", F_OK); /* hidepid */
	DIR *dir = opendir("/proc");

	if (!dir)
		return true;
	while (!found && (d = readdir(dir))) {
		int pid = atoi(d->d_name);

		if (pid <= 0 || pid == getpid())
			continue;
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
		if (!stat(path, &st))
			found = st.st_ino == inode;
		else
			found = errno == EACCES || errno == EPERM;
	}
	closedir(dir);
	return found;
}

bool instance_alive(const struct instance *in)
{
	struct stat own;
	char path[512];

	if (!strcmp(in->name, "host"))
		return true;
	/* not ns/net, to look at which takes CAP_SYS_PTRACE, and the agent has that not any more */
	if (!in->netns[0])
		return stat("/proc/self/net/dev", &own) || has_company("net/dev", own.st_ino);
	snprintf(path, sizeof(path), NETNS_DIR "/%s", in->netns);
	return same_file(path, "/proc/self/ns/net");
}

/* ---- those of others ---- */

/* The reverse of encode_name(). */
static void decode_name(char *buf, size_t size, const char *name, size_t len)
{
	unsigned int c;
	size_t i, n = 0;

	for (i = 0; i < len && n + 1 < size; i++) {
		if (name[i] == '%' && i + 2 < len && sscanf(name + i, "%%%2x", &c) == 1) {
			buf[n++] = c;
			i += 2;
		} else {
			buf[n++] = name[i];
		}
	}
	buf[n] = 0;
}

int instance_of_record(struct instance *in, const char *file)
{
	size_t len = strlen(file);

	memset(in, 0, sizeof(*in));
	in->lock_fd = -1;
	if (len <= 5 || strcmp(file + len - 5, ".json") || memchr(file, '.', len - 5))
		return -EINVAL; /* such as a policy's */
	decode_name(in->name, sizeof(in->name), file, len - 5);
	if (strcmp(in->name, "host") && strncmp(in->name, "ns-", 3))
		return -EINVAL;
	if (!strncmp(in->name, "ns-", 3) && strncmp(in->name, "ns-inode-", 9))
		snprintf(in->netns, sizeof(in->netns), "%s", in->name + 3);
	return set_paths(in);
}

bool instance_vanished(const struct instance *in)
{
	unsigned long inode;
	char path[512];

	if (!strcmp(in->name, "host"))
		return false;
	if (in->netns[0]) {
		snprintf(path, sizeof(path), NETNS_DIR "/%s", in->netns);
		return access(path, F_OK) && errno == ENOENT;
	}
	return sscanf(in->name, "ns-inode-%lu", &inode) == 1 && !has_company("ns/net", inode) &&
	       !instance_agent(in);
}

/* ---- the lock, and the files ---- */

/* The path still leads to the file we locked: nobody removed it in between. */
static bool still_linked(int fd, const char *path)
{
	struct stat a, b;

	return !fstat(fd, &a) && !stat(path, &b) && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static int open_lock(const char *path)
{
	int fd;

	if (!mkdir(RUN_DIR, 0755))
		chmod(RUN_DIR, 0755); /* whatever the umask: group synstile goes through it */
	else if (errno != EEXIST)
		return fail(errno, "cannot create %s: %s", RUN_DIR, strerror(errno));
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 && errno == ENOENT)
		return -EAGAIN; /* the last detach of another instance removed the folder just now
				 */
	if (fd < 0)
		return fail(errno, "cannot open %s: %s", path, strerror(errno));
	return fd;
}

int instance_trylock(struct instance *in, const char *what)
{
	int fd = open_lock(in->lock);

	if (fd < 0)
		return fd == -EAGAIN ? -EBUSY : fd;
	if (flock(fd, LOCK_EX | LOCK_NB) || !still_linked(fd, in->lock)) {
		close(fd);
		return -EBUSY;
	}
	if (ftruncate(fd, 0) || dprintf(fd, "%d %s\n", getpid(), what) < 0)
		debug("cannot write %s", in->lock);
	in->lock_fd = fd;
	return 0;
}

static int lock_timeout(const struct instance *in)
{
	char who[128] = "";
	int fd = open(in->lock, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, who, sizeof(who) - 1);

	if (fd >= 0)
		close(fd);
	who[n > 0 ? n : 0] = 0;
	who[strcspn(who, "\n")] = 0;
	return fail(EBUSY,
		    "another synstile command has been at work on instance \"%s\" for more than "
		    "%d s (process and command: %s); try again when it is done",
		    in->name, LOCK_WAIT_MS / 1000, who[0] ? who : "unknown");
}

int instance_lock(struct instance *in, const char *what)
{
	int waited, err;

	for (waited = 0; waited < LOCK_WAIT_MS; waited += 20) {
		err = instance_trylock(in, what);
		if (err != -EBUSY)
			return err;
		sleep_ms(20);
	}
	return lock_timeout(in);
}

void instance_drop_records(const struct instance *in)
{
	/* the state last: without it nobody would look for the others */
	const char *const paths[] = {in->policy, in->state};
	char half[600]; /* what a killed state_write() left */
	size_t i;

	for (i = 0; i < 2; i++) {
		snprintf(half, sizeof(half), "%s.new", paths[i]);
		unlink(half);
		unlink(paths[i]);
	}
	rmdir(STATE_DIR); /* fails while another instance lives */
}

void instance_unlock(struct instance *in, bool forget)
{
	if (in->lock_fd < 0)
		return;
	if (forget) {
		instance_drop_records(in);
		unlink(in->pid);
		unlink(in->sock);
		unlink(in->lock);
		rmdir(RUN_DIR); /* fails while another instance lives */
	}
	close(in->lock_fd);
	in->lock_fd = -1;
}

int instance_agent(const struct instance *in)
{
	char text[32] = "";
	int pid = 0, fd = open(in->pid, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	/* the agent holds this lock as long as it lives */
	if (flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK &&
	    read(fd, text, sizeof(text) - 1) > 0)
		pid = atoi(text);
	close(fd);
	return pid;
}

/* Signals it, and waits until the process is gone, not only its lock. */
static bool end_process(int pidfd, int signal, int ms)
{
	struct pollfd gone = {.fd = pidfd, .events = POLLIN};

	return (pidfd_send_signal(pidfd, signal, NULL, 0) && errno == ESRCH) ||
	       poll(&gone, 1, ms) == 1;
}

int instance_stop_agent(const struct instance *in)
{
	int pid = instance_agent(in), pidfd;
	bool gone;

	if (!pid)
		return 0;
	pidfd = pidfd_open(pid, 0);
	if (pidfd < 0 && errno == ESRCH)
		return 0;
	if (pidfd < 0)
		return fail(errno, "cannot stop the agent (process %d): %s", pid, strerror(errno));
	/* still the same one? Its number may be another's now */
	gone = instance_agent(in) != pid || end_process(pidfd, SIGTERM, 3000) ||
	       end_process(pidfd, SIGKILL, 2000);
	close(pidfd);
	if (gone)
		return 0;
	return fail(EBUSY, "the agent (process %d) does not end; try `kill -9 %d`", pid, pid);
}
