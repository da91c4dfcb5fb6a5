// SPDX-License-Identifier: GPL-2.0
/*
 * A random program across the kernel: memory, files, sockets, processes.
 *
 * A seed chooses the calls; what can be seen of them, results, errors and data,
 * goes into a sum for each family. The same seed has to give the same sums in
 * every arm of a change, so nothing that depends on time, addresses or
 * numbers that the kernel gives out is looked at. One family, "look", reads
 * files of /proc and /sys, of which nothing goes into a sum.
 *
 * Files are made below --dir, whose file system is what is exercised; mounts
 * and sockets are made in namespaces of its own.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/genetlink.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/rtnetlink.h>
#include <mqueue.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"

#define PAGE 4096
#define MOST 65536
#define REALTIME 40 /* a signal that queues */

static unsigned long long state, sum;
static unsigned long calls;
static alignas(PAGE) char buffer[MOST];
static const char *dir = "/tmp";

/* xorshift64* */
static unsigned int chance(unsigned int below)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (unsigned int)((state * 0x2545f4914f6cdd1dULL) >> 33) % below;
}

/* FNV-1a */
static void seen(const void *data, size_t length)
{
	const unsigned char *byte = data;

	while (length--)
		sum = (sum ^ *byte++) * 0x100000001b3ULL;
}

/* A result that is the same in every run: a length, a status, an error. */
static long saw(long result)
{
	long value = result < 0 ? -errno : result;

	seen(&value, sizeof(value));
	calls++;
	return value;
}

/* One that is a number the kernel gives out. */
static long made(long result)
{
	saw(result < 0 ? result : 0);
	return result;
}

/* One that may be another in the next run. */
static void ignore(long result)
{
	saw(0);
}

static void fill(size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		buffer[i] = (char)(calls + i * 7);
}

static unsigned int length_of(unsigned int most)
{
	return 1 + chance(chance(4) ? 64 : most);
}

/* --- memory --- */

#define AREAS 4
#define PAGES 16

static char *areas[AREAS];

static int backing(void)
{
	char path[256] = "";
	int fd;

	if (chance(2)) {
		fd = syscall(SYS_memfd_create, "random", 0);
	} else {
		snprintf(path, sizeof(path), "%s/random-map", dir);
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	}
	/* Nothing of what another run, or another area, has left. */
	if (fd >= 0 && (unlink(path), ftruncate(fd, PAGES * PAGE)))
		perror("ftruncate");
	return fd;
}

static void map_anew(int i)
{
	int kind = chance(4), flags = chance(2) ? MAP_SHARED : MAP_PRIVATE;
	int fd = kind ? -1 : backing();

	if (areas[i])
		munmap(areas[i], PAGES * PAGE);
	areas[i] =
		mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
		     flags | (fd < 0 ? MAP_ANONYMOUS : 0) | (chance(4) ? 0 : MAP_POPULATE), fd, 0);
	if (areas[i] == MAP_FAILED)
		areas[i] = NULL;
	if (fd >= 0)
		close(fd);
}

/* By a call that gives an error where an access would end the process. */
static void touch(char *at, size_t length, bool write)
{
	struct iovec local = { buffer, length }, remote = { at, length };
	long done;

	if (write) {
		fill(length);
		saw(process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
		return;
	}
	done = saw(process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	if (done > 0)
		seen(buffer, done);
}

static void remap(int i)
{
	char *to = mremap(areas[i], PAGES * PAGE, PAGES * PAGE * 2, MREMAP_MAYMOVE);

	saw(to == MAP_FAILED ? -1 : 0);
	if (to != MAP_FAILED)
		areas[i] = mremap(to, PAGES * PAGE * 2, PAGES * PAGE, 0);
}

static void memory(void)
{
	static const int advice[] = { MADV_NORMAL,	   MADV_RANDOM,
				      MADV_SEQUENTIAL,	   MADV_WILLNEED,
				      MADV_DONTNEED,	   MADV_HUGEPAGE,
				      MADV_NOHUGEPAGE,	   MADV_COLD,
				      MADV_PAGEOUT,	   MADV_DONTFORK,
				      MADV_DOFORK,	   MADV_POPULATE_READ,
				      MADV_POPULATE_WRITE, MADV_MERGEABLE,
				      MADV_UNMERGEABLE,	   25 /* MADV_COLLAPSE */ };
	static const int prots[] = { PROT_READ, PROT_READ | PROT_WRITE, PROT_NONE,
				     PROT_READ | PROT_WRITE };
	int i = chance(AREAS), page = chance(PAGES), count = 1 + chance(PAGES - page);
	unsigned long nodes = 1;
	char *at;

	if (!areas[i] || !chance(16))
		map_anew(i);
	if (!areas[i])
		return;
	at = areas[i] + page * PAGE;
	switch (chance(16)) {
	case 0 ... 3:
		touch(at, length_of(count * PAGE), true);
		break;
	case 4 ... 6:
		touch(at, length_of(count * PAGE), false);
		break;
	case 7:
		saw(mprotect(at, count * PAGE, prots[chance(ARRAY_SIZE(prots))]));
		break;
	case 8:
	case 9:
		/* Some depend on what memory there is: the data must stay what it was. */
		ignore(madvise(at, count * PAGE, advice[chance(ARRAY_SIZE(advice))]));
		break;
	case 10:
		saw(chance(2) ? mlock(at, count * PAGE) : munlock(at, count * PAGE));
		break;
	case 11:
		saw(msync(at, count * PAGE, chance(2) ? MS_SYNC : MS_ASYNC));
		break;
	case 12:
		remap(i);
		break;
	case 13:
		saw(syscall(SYS_mbind, at, count * PAGE, chance(2), &nodes, chance(2) ? 0 : 2, 0));
		break;
	case 14:
		saw(syscall(SYS_mincore, at, count * PAGE, buffer));
		break;
	case 15:
		saw(munmap(at, count * PAGE));
		saw(mmap(at, count * PAGE, PROT_READ | PROT_WRITE,
			 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == at);
		break;
	}
}

/* --- files --- */

#define NAMES 6

static int here = -1, watch = -1, files[4] = { -1, -1, -1, -1 };

static const char *name(char *into, const char *prefix)
{
	snprintf(into, 16, "%s%u", prefix, chance(NAMES));
	return into;
}

/* The sum of what a directory has, in any order. */
static void list_directory(void)
{
	struct dirent *entry;
	unsigned long all = 0;
	int fd = openat(here, ".", O_RDONLY | O_DIRECTORY);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	const char *c;

	while (stream && (entry = readdir(stream))) {
		unsigned long one = entry->d_type;

		for (c = entry->d_name; *c; c++)
			one = one * 31 + *c;
		all += one;
	}
	if (stream)
		closedir(stream);
	saw(all >> 1);
}

static void look_at(const char *path)
{
	struct statx st;
	long err = saw(statx(here, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &st));

	if (err)
		return;
	saw(st.stx_mode);
	saw(st.stx_nlink);
	if (!S_ISDIR(st.stx_mode))
		saw(st.stx_size);
}

static void names(void)
{
	char one[16], other[16];

	name(one, chance(4) ? "f" : "d");
	name(other, chance(4) ? "f" : "d");
	switch (chance(12)) {
	case 0:
		saw(renameat2(here, one, here, other, chance(4) ? 0 : RENAME_EXCHANGE));
		break;
	case 1:
		saw(linkat(here, one, here, other, 0));
		break;
	case 2:
		saw(symlinkat(other, here, one));
		break;
	case 3:
		made(readlinkat(here, one, buffer, sizeof(buffer)));
		break;
	case 4:
	case 5:
		saw(unlinkat(here, one, 0));
		break;
	case 6:
		saw(mkdirat(here, name(one, "d"), 0755));
		break;
	case 7:
		saw(unlinkat(here, name(one, "d"), AT_REMOVEDIR));
		break;
	case 8:
		list_directory();
		break;
	case 9:
		saw(mknodat(here, one, S_IFIFO | 0600, 0));
		break;
	case 10:
		saw(faccessat(here, one, chance(8), 0));
		break;
	case 11:
		look_at(one);
		break;
	}
}

static void attributes(int fd)
{
	static const char *const keys[] = { "user.one", "user.two", "trusted.three",
					    "system.none" };
	struct timespec times[2] = { { .tv_sec = chance(1000) }, { .tv_sec = chance(1000) } };
	const char *key = keys[chance(ARRAY_SIZE(keys))];
	long length;

	char path[300], one[16];

	snprintf(path, sizeof(path), "%s/random/%s", dir, name(one, "f"));
	switch (chance(9)) {
	case 0:
		fill(200);
		saw(fsetxattr(fd, key, buffer, 1 + chance(200), 0));
		break;
	case 8:
		saw(setxattr(path, key, buffer, 1 + chance(100), chance(3)));
		saw(getxattr(path, key, NULL, 0));
		saw(removexattr(path, key));
		break;
	case 1:
		length = saw(fgetxattr(fd, key, buffer, 256));
		if (length > 0)
			seen(buffer, length);
		break;
	case 2:
		saw(fremovexattr(fd, key));
		break;
	case 3:
		saw(flistxattr(fd, buffer, 256));
		break;
	case 4:
		saw(fchmod(fd, 0600 | chance(0100)));
		break;
	case 5:
		saw(fchown(fd, chance(3), chance(3)));
		break;
	case 6:
		saw(futimens(fd, times));
		break;
	case 7:
		saw(fcntl(fd, F_SETFL, chance(2) ? O_APPEND : 0));
		break;
	}
}

static void between(int from, int to)
{
	off_t in = chance(MOST), out = chance(MOST);
	size_t length = length_of(MOST);
	int pipe_[2];
	long got;

	switch (chance(3)) {
	case 0:
		saw(sendfile(to, from, &in, length));
		break;
	case 1:
		saw(copy_file_range(from, &in, to, &out, length, 0));
		break;
	case 2:
		if (pipe(pipe_))
			break;
		got = saw(splice(from, &in, pipe_[1], NULL, length, SPLICE_F_NONBLOCK));
		if (got > 0)
			saw(splice(pipe_[0], NULL, to, &out, got, SPLICE_F_NONBLOCK));
		close(pipe_[0]);
		close(pipe_[1]);
		break;
	}
}

static void locks(int fd)
{
	struct flock lock = { .l_type = chance(3), .l_start = chance(100), .l_len = chance(100) };

	switch (chance(4)) {
	case 0:
		saw(flock(fd, LOCK_NB | (chance(2) ? LOCK_EX : LOCK_UN)));
		break;
	case 1:
		saw(fcntl(fd, F_OFD_SETLK, &lock));
		break;
	case 2:
		saw(fcntl(fd, F_SETLK, &lock));
		break;
	case 3:
		saw(fcntl(fd, F_GETLK, &lock));
		saw(lock.l_type);
		break;
	}
}

static void open_one(int i)
{
	static const int flags[] = { O_RDWR,
				     O_RDWR | O_CREAT,
				     O_RDWR | O_CREAT | O_TRUNC,
				     O_RDWR | O_CREAT | O_EXCL,
				     O_RDONLY | O_NONBLOCK,
				     O_RDWR | O_CREAT | O_DIRECT,
				     O_RDWR | O_CREAT | O_SYNC,
				     O_RDWR | O_NOFOLLOW };
	char path[16];

	if (files[i] >= 0)
		close(files[i]);
	if (!chance(8))
		files[i] = openat(here, ".", O_TMPFILE | O_RDWR, 0600);
	else
		files[i] = openat(here, name(path, chance(8) ? "f" : "d"),
				  flags[chance(ARRAY_SIZE(flags))] | O_NONBLOCK, 0640);
	made(files[i]);
}

static void data_of(int fd)
{
	struct iovec vec = { buffer, length_of(MOST / 4) };
	long got, at = chance(2) ? chance(MOST) : chance(16) * PAGE;

	/* Direct input and output is of whole pages. */
	if (chance(2))
		vec.iov_len = PAGE;
	switch (chance(8)) {
	case 0 ... 2:
		fill(vec.iov_len);
		saw(pwritev2(fd, &vec, 1, at, chance(4) ? 0 : RWF_DSYNC));
		break;
	case 3 ... 4:
		got = saw(preadv2(fd, &vec, 1, at, 0));
		if (got > 0)
			seen(buffer, got);
		break;
	case 5:
		saw(ftruncate(fd, chance(MOST)));
		break;
	case 6:
		saw(fallocate(fd, chance(4) ? chance(4) : 0x10, at, vec.iov_len));
		break;
	case 7:
		saw(lseek(fd, chance(MOST), chance(5)));
		break;
	}
}

static void kept(int fd)
{
	struct statfs st;

	switch (chance(6)) {
	case 0:
		saw(chance(2) ? fsync(fd) : fdatasync(fd));
		break;
	case 1:
		saw(sync_file_range(fd, 0, MOST, chance(8)));
		break;
	case 2:
		saw(posix_fadvise(fd, 0, MOST, chance(6)));
		break;
	case 3:
		saw(readahead(fd, 0, MOST));
		break;
	case 4:
		saw(fstatfs(fd, &st));
		saw(st.f_type >> 1);
		break;
	case 5:
		if (!chance(64))
			saw(syncfs(fd));
		break;
	}
}

/* What was noticed, by the names; the kernel may merge. */
static void noticed(void)
{
	struct pollfd one = { .fd = watch, .events = POLLIN };

	while (poll(&one, 1, 0) == 1 && read(watch, buffer, sizeof(buffer)) > 0)
		;
	calls++;
}

static void in_files(void)
{
	int i = chance(ARRAY_SIZE(files)), fd = files[i];

	if (fd < 0 || !chance(10)) {
		open_one(i);
		return;
	}
	switch (chance(16)) {
	case 0 ... 4:
		data_of(fd);
		break;
	case 5 ... 9:
		names();
		break;
	case 10:
	case 11:
		attributes(fd);
		break;
	case 12:
		between(fd, files[chance(ARRAY_SIZE(files))]);
		break;
	case 13:
		locks(fd);
		break;
	case 14:
		kept(fd);
		break;
	case 15:
		noticed();
		break;
	}
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *where)
{
	return remove(path);
}

static void begin_files(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/random", dir);
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	here = mkdir(path, 0755) ? -1 : open(path, O_RDONLY | O_DIRECTORY);
	if (here < 0) {
		perror(path);
		exit(1);
	}
	watch = inotify_init1(IN_NONBLOCK);
	inotify_add_watch(watch, path, IN_ALL_EVENTS);
}

/* --- sockets --- */

static const struct {
	int family, type;
	bool pair;
} kinds[] = {
	{ AF_INET, SOCK_STREAM, false },   { AF_INET6, SOCK_STREAM, false },
	{ AF_INET, SOCK_DGRAM, false },	   { AF_INET6, SOCK_DGRAM, false },
	{ AF_UNIX, SOCK_STREAM, true },	   { AF_UNIX, SOCK_DGRAM, true },
	{ AF_UNIX, SOCK_SEQPACKET, true },
};

static int ends[ARRAY_SIZE(kinds)][2];

static bool up(void)
{
	struct ifreq lo = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	bool ok = fd >= 0 && !ioctl(fd, SIOCGIFFLAGS, &lo);

	lo.ifr_flags |= IFF_UP;
	ok = ok && !ioctl(fd, SIOCSIFFLAGS, &lo);
	close(fd);
	return ok;
}

static void connect_ends(int family, int type, int *end)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in four = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *to = family == AF_INET ? (void *)&four : (void *)&six;
	socklen_t len = family == AF_INET ? sizeof(four) : sizeof(six);
	int listening = socket(family, type, 0);

	end[1] = socket(family, type, 0);
	saw(bind(listening, to, len));
	if (type == SOCK_STREAM)
		saw(listen(listening, 4));
	getsockname(listening, to, &len);
	saw(connect(end[1], to, len));
	if (type == SOCK_STREAM) {
		end[0] = accept(listening, NULL, NULL);
		close(listening);
		return;
	}
	end[0] = listening;
	len = sizeof(six);
	getsockname(end[1], to, &len);
	saw(connect(end[0], to, len));
}

static void open_ends(int i)
{
	static const struct linger now = { .l_onoff = 1 };

	if (kinds[i].pair)
		saw(socketpair(kinds[i].family, kinds[i].type, 0, ends[i]));
	else
		connect_ends(kinds[i].family, kinds[i].type, ends[i]);
	setsockopt(ends[i][0], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	setsockopt(ends[i][1], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* As much as was sent, however it comes. */
static void take(int fd, long want, int type)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };
	long got, all = 0;

	while (all < want && poll(&one, 1, 2000) == 1) {
		got = recv(fd, buffer, type == SOCK_STREAM ? want - all : MOST, MSG_DONTWAIT);
		if (got <= 0)
			break;
		seen(buffer, got);
		all += got;
	}
	saw(all);
}

static void through(int i)
{
	int way = chance(2), type = kinds[i].type;
	struct iovec vec[2] = { { buffer, length_of(9000) }, { buffer, length_of(100) } };
	char control[CMSG_SPACE(sizeof(int))] = {};
	struct msghdr message = { .msg_iov = vec, .msg_iovlen = 1 + chance(2) };
	struct cmsghdr *head = (struct cmsghdr *)control;
	long sent;

	fill(sizeof(buffer) / 4);
	if (kinds[i].pair && !chance(4)) {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &ends[i][way], sizeof(int));
	}
	sent = saw(sendmsg(ends[i][way], &message, MSG_NOSIGNAL));
	if (sent > 0)
		take(ends[i][!way], sent, type);
}

static void options_of(int fd)
{
	static const struct {
		int level, name;
	} known[] = {
		{ SOL_SOCKET, SO_SNDBUF },
		{ SOL_SOCKET, SO_RCVBUF },
		{ SOL_SOCKET, SO_KEEPALIVE },
		{ SOL_SOCKET, SO_PRIORITY },
		{ SOL_SOCKET, SO_REUSEADDR },
		{ SOL_SOCKET, SO_REUSEPORT },
		{ SOL_SOCKET, SO_RCVLOWAT },
		{ SOL_SOCKET, SO_MARK },
		{ SOL_SOCKET, SO_TIMESTAMP },
		{ SOL_SOCKET, SO_BUSY_POLL },
		{ SOL_SOCKET, SO_ZEROCOPY },
		{ SOL_SOCKET, SO_TYPE },
		{ SOL_SOCKET, SO_DOMAIN },
		{ SOL_SOCKET, SO_ACCEPTCONN },
		{ IPPROTO_IP, IP_TOS },
		{ IPPROTO_IP, IP_TTL },
		{ IPPROTO_IP, IP_RECVERR },
		{ IPPROTO_IP, IP_PKTINFO },
		{ IPPROTO_IP, IP_MTU_DISCOVER },
		{ IPPROTO_IPV6, IPV6_TCLASS },
		{ IPPROTO_IPV6, IPV6_RECVPKTINFO },
		{ IPPROTO_IPV6, IPV6_UNICAST_HOPS },
		{ IPPROTO_TCP, TCP_NODELAY },
		{ IPPROTO_TCP, TCP_MAXSEG },
		{ IPPROTO_TCP, TCP_KEEPIDLE },
		{ IPPROTO_TCP, TCP_KEEPCNT },
		{ IPPROTO_TCP, TCP_SYNCNT },
		{ IPPROTO_TCP, TCP_LINGER2 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT },
		{ IPPROTO_TCP, TCP_NOTSENT_LOWAT },
		{ IPPROTO_UDP, 103 /* UDP_SEGMENT */ },
		{ IPPROTO_UDP, 104 /* UDP_GRO */ },
	};
	int which = chance(ARRAY_SIZE(known)), value = chance(4) ? 1 + chance(8) : 4096 * chance(8);
	socklen_t len = sizeof(value);

	/* Buffers only grow: what is sent has to find room. */
	if (known[which].name == SO_SNDBUF || known[which].name == SO_RCVBUF)
		value = 1 << 17;
	if (known[which].level == IPPROTO_UDP)
		value = 0;
	saw(setsockopt(fd, known[which].level, known[which].name, &value, len));
	value = 0;
	if (!saw(getsockopt(fd, known[which].level, known[which].name, &value, &len)) &&
	    known[which].name != TCP_MAXSEG)
		saw(value >= 0 ? value : 0);
}

/* All links, addresses and routes; in a network namespace of our own these are always the same. */
static void ask_routes(void)
{
	static const int what[] = { RTM_GETLINK,  RTM_GETADDR,	RTM_GETROUTE, RTM_GETRULE,
				    RTM_GETNEIGH, RTM_GETQDISC, RTM_GETNSID };
	struct {
		struct nlmsghdr head;
		struct rtgenmsg about;
	} ask = { .head = { .nlmsg_len = sizeof(ask),
			    .nlmsg_type = what[chance(ARRAY_SIZE(what))],
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	saw(send(fd, &ask, sizeof(ask), 0));
	made(recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT));
	close(fd);
}

/* What families of generic netlink say of a command without arguments, for loopback. */
static void ask_family(void)
{
	static const char *const known[] = { "ethtool",	    "net-shaper", "netdev",
					     "tcp_metrics", "nlctrl",	  "mptcp_pm" };
	struct {
		struct nlmsghdr head;
		struct genlmsghdr about;
		struct nlattr outer, inner;
		char text[12];
	} ask = { .head = { .nlmsg_type = GENL_ID_CTRL, .nlmsg_flags = NLM_F_REQUEST },
		  .about = { CTRL_CMD_GETFAMILY, 1, 0 } };
	int which = chance(ARRAY_SIZE(known)), fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
	struct nlmsghdr *answer = (struct nlmsghdr *)buffer;
	unsigned int lo = 1;

	ask.outer.nla_type = CTRL_ATTR_FAMILY_NAME;
	ask.outer.nla_len = NLA_HDRLEN + strlen(known[which]) + 1;
	memcpy(&ask.inner, known[which], strlen(known[which]) + 1);
	ask.head.nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN + NLA_ALIGN(ask.outer.nla_len);
	saw(send(fd, &ask, ask.head.nlmsg_len, 0));
	made(recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT));
	if (answer->nlmsg_type == GENL_ID_CTRL) {
		/* its first attribute is the name, the second the number */
		memcpy(&ask.head.nlmsg_type,
		       buffer + NLMSG_HDRLEN + GENL_HDRLEN + NLA_ALIGN(ask.outer.nla_len) +
			       NLA_HDRLEN,
		       2);
		ask.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
		ask.about.cmd = 1 + chance(48);
		ask.outer.nla_type = which ? 1 : 1 | NLA_F_NESTED;
		ask.outer.nla_len = NLA_HDRLEN + (which ? 4 : NLA_HDRLEN + 4);
		ask.inner = (struct nlattr){ .nla_len = NLA_HDRLEN + 4, .nla_type = 1 };
		memcpy(which ? (void *)&ask.inner : ask.text, &lo, 4);
		ask.head.nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN + ask.outer.nla_len;
		saw(send(fd, &ask, ask.head.nlmsg_len, 0));
		made(recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT));
		saw(answer->nlmsg_type == NLMSG_ERROR ?
			    ((struct nlmsgerr *)NLMSG_DATA(answer))->error & 0xfff :
			    0);
	}
	close(fd);
}

/* Packets that only routers get, and an echo. */
static void send_raw(void)
{
	static const struct {
		int protocol;
		unsigned char type;
	} known[] = { { IPPROTO_ICMP, 8 },    { IPPROTO_ICMP, 13 },   { IPPROTO_IGMP, 0x11 },
		      { IPPROTO_IGMP, 0x14 }, { IPPROTO_IGMP, 0x16 }, { IPPROTO_UDP, 0 },
		      { IPPROTO_TCP, 0 },     { IPPROTO_PIM, 0x21 } };
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	unsigned char packet[32] = {};
	int which = chance(ARRAY_SIZE(known)),
	    fd = socket(AF_INET, SOCK_RAW, known[which].protocol);
	unsigned short check = ~htons(known[which].type << 8);

	packet[0] = known[which].type;
	memcpy(packet + 2, &check, sizeof(check));
	saw(sendto(fd, packet, sizeof(packet), 0, (struct sockaddr *)&to, sizeof(to)));
	close(fd);
}

/* One that sees what passes, through a filter. */
static void listen_in(void)
{
	static struct sock_filter code[] = { BPF_STMT(BPF_LD | BPF_LEN, 0),
					     BPF_STMT(BPF_RET | BPF_A, 0) };
	struct sock_fprog program = { ARRAY_SIZE(code), code };
	int fd = socket(AF_PACKET, SOCK_RAW, htons(3));

	made(fd);
	if (fd < 0)
		return;
	saw(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
	through(chance(4));
	ignore(recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT));
	close(fd);
}

static void in_sockets(void)
{
	int i = chance(ARRAY_SIZE(kinds)), end = chance(2);
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	switch (chance(16)) {
	case 0 ... 8:
		through(i);
		break;
	case 9 ... 11:
		options_of(ends[i][end]);
		break;
	case 12:
		saw(chance(2) ? getpeername(ends[i][end], (struct sockaddr *)&address, &len) :
				getsockname(ends[i][end], (struct sockaddr *)&address, &len));
		break;
	case 13:
		if (chance(2))
			ask_routes();
		else
			ask_family();
		break;
	case 14:
		if (chance(2))
			send_raw();
		else
			listen_in();
		break;
	case 15:
		saw(shutdown(ends[i][end], chance(3)));
		close(ends[i][0]);
		close(ends[i][1]);
		open_ends(i);
		break;
	}
}

static void begin_sockets(void)
{
	int i;

	if (unshare(CLONE_NEWNET) || !up()) {
		perror("a network of its own");
		exit(1);
	}
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		open_ends(i);
}

/* --- processes --- */

static void handled(int number)
{
}

static int child_does(void)
{
	static const int spaces[] = { CLONE_NEWNS,   CLONE_NEWUTS, CLONE_NEWIPC,
				      CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET,
				      CLONE_FS,	     CLONE_FILES,  CLONE_NEWCGROUP };
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, 0x7fff0000);
	struct sock_fprog program = { 1, &allow };

	switch (chance(10)) {
	case 0:
		return unshare(spaces[chance(ARRAY_SIZE(spaces))]) ? errno : 0;
	case 1:
		return setresuid(1000, 1000, 1000) ? errno : setuid(0) ? errno : 0;
	case 2:
		return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
				       prctl(PR_SET_SECCOMP, 2, &program, 0, 0) ?
			       errno :
			       getppid() < 0;
	case 3:
		raise(SIGKILL);
		return 1;
	case 4:
		execl("/proc/self/exe", "random_calls", "--nothing", NULL);
		return errno;
	case 5:
		return setsid() < 0 ? errno : setpgid(0, 0) ? errno : 0;
	case 6:
		return unshare(CLONE_NEWNS) ||
				       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
				       mount("none", dir, "tmpfs", 0, "size=1m") ||
				       umount2(dir, MNT_DETACH) ?
			       errno :
			       0;
	case 7:
		return ptrace(PTRACE_TRACEME, 0, 0, 0) ? errno : 0;
	case 8:
		raise(SIGSTOP);
		return 2;
	}
	return chance(256);
}

static void fork_one(void)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid)
		_exit(child_does());
	made(pid);
	/* A stopped child goes on, and says how it ended. */
	if (waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status)) {
		saw(WSTOPSIG(status));
		kill(pid, SIGCONT);
		waitpid(pid, &status, 0);
	}
	saw(status);
}

static void *nothing_done(void *unused)
{
	return unused;
}

static void by_threads(void)
{
	pthread_t threads[4];
	int i, count = 1 + chance(4);

	for (i = 0; i < count; i++)
		saw(pthread_create(&threads[i], NULL, nothing_done, NULL));
	for (i = 0; i < count; i++)
		saw(pthread_join(threads[i], NULL));
}

static void signals(void)
{
	static const int known[] = { SIGUSR1, SIGUSR2, SIGURG, REALTIME };
	struct timespec none = {};
	int number = known[chance(ARRAY_SIZE(known))];
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	saw(sigprocmask(SIG_BLOCK, &set, NULL));
	saw(kill(getpid(), number));
	saw(sigqueue(getpid(), number, (union sigval){ .sival_int = 3 }));
	saw(sigpending(&set));
	sigemptyset(&set);
	sigaddset(&set, number);
	while (saw(sigtimedwait(&set, NULL, &none)) > 0)
		;
	saw(sigprocmask(SIG_UNBLOCK, &set, NULL));
	saw(kill(getpid(), number));
}

static void scheduling(void)
{
	struct sched_param param = { .sched_priority = chance(3) };
	struct rlimit limit;
	cpu_set_t set;

	switch (chance(6)) {
	case 0:
		saw(setpriority(PRIO_PROCESS, 0, chance(20)));
		errno = 0;
		saw(getpriority(PRIO_PROCESS, 0));
		break;
	case 1:
		saw(sched_setscheduler(0, chance(6), &param));
		saw(sched_getscheduler(0));
		break;
	case 2:
		saw(sched_getaffinity(0, sizeof(set), &set));
		saw(sched_setaffinity(0, sizeof(set), &set));
		break;
	case 3:
		saw(getrlimit(chance(16), &limit));
		break;
	case 4:
		saw(sched_yield());
		break;
	case 5:
		saw(prctl(PR_SET_TIMERSLACK, 50000 + chance(1000)));
		break;
	}
	sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){});
}

static void clocks(void)
{
	struct itimerspec spec = { .it_value.tv_nsec = 1 + chance(1000) }, rest;
	struct timespec least = { .tv_nsec = 1 + chance(100000) };
	struct sigevent event = { .sigev_notify = SIGEV_NONE };
	unsigned long long times;
	timer_t timer;
	int fd;

	switch (chance(3)) {
	case 0:
		fd = timerfd_create(chance(2), TFD_NONBLOCK);
		saw(timerfd_settime(fd, 0, &spec, NULL));
		saw(nanosleep(&least, NULL));
		/* It may not be time yet: what is read is not looked at. */
		ignore(read(fd, &times, sizeof(times)));
		close(fd);
		break;
	case 1:
		if (saw(timer_create(chance(2), &event, &timer)))
			break;
		saw(timer_settime(timer, 0, &spec, NULL));
		saw(timer_gettime(timer, &rest));
		saw(timer_delete(timer));
		break;
	case 2:
		saw(clock_nanosleep(chance(2), 0, &least, NULL));
		break;
	}
}

static void waits(void)
{
	static int word;

	switch (chance(5)) {
	case 0:
		saw(syscall(SYS_futex, &word, FUTEX_WAIT, word + 1, NULL));
		break;
	case 1:
		saw(syscall(SYS_futex, &word, FUTEX_WAKE, 4));
		break;
	case 2:
		saw(syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, NULL));
		saw(syscall(SYS_futex, &word, FUTEX_UNLOCK_PI));
		word = 0;
		break;
	case 3:
		saw(syscall(SYS_futex, &word, FUTEX_REQUEUE, 1, 1L, &word));
		break;
	case 4:
		saw(syscall(SYS_membarrier, chance(8), 0, 0) > 0 ? 1 : 0);
		break;
	}
}

static void shared(void)
{
	struct sembuf by = { .sem_op = chance(3) - 1, .sem_flg = IPC_NOWAIT };
	struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = 64 };
	struct {
		long type;
		char text[32];
	} message = { 1 + chance(3), "message" };
	int id;

	switch (chance(4)) {
	case 0:
		id = made(shmget(IPC_PRIVATE, PAGE * (1 + chance(4)), IPC_CREAT | 0600));
		saw(shmctl(id, IPC_RMID, NULL));
		break;
	case 1:
		id = made(semget(IPC_PRIVATE, 2, IPC_CREAT | 0600));
		saw(semop(id, &by, 1));
		saw(semctl(id, 0, IPC_RMID));
		break;
	case 2:
		id = made(msgget(IPC_PRIVATE, IPC_CREAT | 0600));
		saw(msgsnd(id, &message, chance(32), IPC_NOWAIT));
		saw(msgrcv(id, &message, 32, chance(4), IPC_NOWAIT));
		saw(msgctl(id, IPC_RMID, NULL));
		break;
	case 3:
		id = made(mq_open("/random", O_RDWR | O_CREAT | O_NONBLOCK, 0600, &attr));
		saw(mq_send(id, buffer, chance(64), chance(4)));
		saw(mq_receive(id, buffer, 64, NULL));
		saw(mq_close(id));
		saw(mq_unlink("/random"));
		break;
	}
}

static void by_bpf(void)
{
	struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr load = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
				.insns = (unsigned long)code,
				.insn_cnt = ARRAY_SIZE(code),
				.license = (unsigned long)"GPL" };
	union bpf_attr map = {
		.map_type = 1 + chance(2), .key_size = 4, .value_size = 8, .max_entries = 4
	};
	/* An arena: pages that a program and user space share. */
	union bpf_attr arena = { .map_type = 33, .map_flags = BPF_F_MMAPABLE, .max_entries = 4 };
	unsigned int key = chance(4);
	int fd;

	fd = made(syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load)));
	close(fd);
	fd = made(syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map)));
	memset(&map, 0, sizeof(map));
	map.map_fd = fd;
	map.key = (unsigned long)&key;
	map.value = (unsigned long)buffer;
	saw(syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &map, sizeof(map)));
	saw(syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &map, sizeof(map)));
	saw(syscall(SYS_bpf, BPF_MAP_DELETE_ELEM, &map, sizeof(map)));
	close(fd);
	fd = made(syscall(SYS_bpf, BPF_MAP_CREATE, &arena, sizeof(arena)));
	if (fd >= 0)
		close(fd);
}

static void by_descriptors(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
					.size = sizeof(attr),
					.config = chance(9) };
	struct io_uring_params ring = {};
	int fd;

	switch (chance(6)) {
	case 0:
		fd = made(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
		made(read(fd, buffer, 8));
		break;
	case 1:
		fd = made(syscall(SYS_io_uring_setup, 4, &ring));
		saw(syscall(SYS_io_uring_enter, fd, 0, 0, 0, NULL, 0));
		break;
	case 2:
		fd = made(syscall(SYS_pidfd_open, getpid(), 0));
		saw(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
		break;
	case 3:
		fd = made(syscall(SYS_userfaultfd, O_NONBLOCK));
		break;
	case 4:
		fd = made(syscall(SYS_memfd_create, "sealed", 2));
		saw(fcntl(fd, F_ADD_SEALS, chance(16)));
		saw(fcntl(fd, F_GET_SEALS));
		break;
	default:
		fd = made(syscall(SYS_landlock_create_ruleset, NULL, 0, 1));
		break;
	}
	if (fd >= 0)
		close(fd);
}

static void in_processes(void)
{
	static void (*const known[])(void) = { fork_one, fork_one,   by_threads,    signals,
					       signals,	 scheduling, clocks,	    waits,
					       shared,	 by_bpf,     by_descriptors };

	known[chance(ARRAY_SIZE(known))]();
}

static void begin_processes(void)
{
	if (unshare(CLONE_NEWIPC)) {
		perror("an IPC namespace of its own");
		exit(1);
	}
	signal(SIGUSR1, handled);
	signal(SIGUSR2, handled);
	signal(REALTIME, handled);
	signal(SIGCHLD, SIG_DFL);
}

/* --- what the kernel shows --- */

static unsigned long looked;

static int look(const char *path, const struct stat *st, int flag, struct FTW *where)
{
	int fd;

	/* Ours differ in each arm; and what waits, or acts when it is read. */
	if (flag != FTW_F || !(st->st_mode & 0400) || strstr(path, "uplift") ||
	    strstr(path, "trace") || strstr(path, "kmsg") || strstr(path, "pagemap") ||
	    strstr(path, "kcore") || strstr(path, "/mem") || strstr(path, "/rom"))
		return 0;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && read(fd, buffer, sizeof(buffer)) > 0)
		looked++;
	if (fd >= 0)
		close(fd);
	return 0;
}

static void look_around(void)
{
	static const char *const tops[] = { "/proc/self",
					    "/proc/sys",
					    "/proc/net",
					    "/proc/fs",
					    "/proc/irq",
					    "/sys/kernel/mm",
					    "/sys/kernel/slab",
					    "/sys/block",
					    "/sys/fs",
					    "/sys/devices/system/cpu",
					    "/sys/devices/virtual" };
	static const char *const alone[] = { "/proc/stat",
					     "/proc/meminfo",
					     "/proc/vmstat",
					     "/proc/zoneinfo",
					     "/proc/buddyinfo",
					     "/proc/slabinfo",
					     "/proc/interrupts",
					     "/proc/softirqs",
					     "/proc/diskstats",
					     "/proc/partitions",
					     "/proc/swaps",
					     "/proc/locks",
					     "/proc/vmallocinfo",
					     "/proc/schedstat",
					     "/proc/timer_list",
					     "/proc/cgroups",
					     "/proc/loadavg",
					     "/proc/pressure/cpu",
					     "/proc/pressure/memory",
					     "/proc/pagetypeinfo",
					     "/proc/modules",
					     "/proc/crypto",
					     "/proc/keys",
					     "/proc/iomem",
					     "/proc/ioports",
					     "/proc/consoles",
					     "/proc/devices",
					     "/proc/filesystems",
					     "/proc/execdomains" };
	struct stat st = { .st_mode = 0400 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(alone); i++)
		look(alone[i], &st, FTW_F, NULL);
	for (i = 0; i < ARRAY_SIZE(tops); i++)
		nftw(tops[i], look, 16, FTW_PHYS);
}

/* --- all of them --- */

static const struct family {
	const char *name;
	void (*begin)(void);
	void (*one)(void);
	unsigned int share; /* of the calls, one in so many */
} families[] = {
	{ "memory", NULL, memory, 1 },
	{ "files", begin_files, in_files, 1 },
	{ "sockets", begin_sockets, in_sockets, 1 },
	{ "processes", begin_processes, in_processes, 4 },
};

static int run(const struct family *family, unsigned long long seed, unsigned long most)
{
	state = seed * 2654435761u + 88172645463325252ULL;
	sum = 0xcbf29ce484222325ULL;
	umask(022);
	if (family->begin)
		family->begin();
	while (calls < most / family->share)
		family->one();
	printf("%s %lu calls %016llx\n", family->name, calls, sum);
	return fflush(stdout);
}

/* In a process of its own, so that none finds what another has left. */
static void apart(const struct family *family, unsigned long long seed, unsigned long most)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(run(family, seed, most));
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status) {
		fprintf(stderr, "random_calls: %s: status %#x\n", family->name, status);
		exit(1);
	}
}

static __noreturn void die_usage(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: random_calls --seed N [--calls N] [--dir DIR] [--look]\n"
		"  --seed N     does what the seed says, and prints sums of what was seen\n"
		"  --calls N    about so many calls in each family (4000)\n"
		"  --dir DIR    where files are made (/tmp)\n"
		"  --look       read what the kernel shows of itself, too\n");
	exit(status);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "seed", required_argument, NULL, 's' },
						 { "calls", required_argument, NULL, 'c' },
						 { "dir", required_argument, NULL, 'd' },
						 { "look", no_argument, NULL, 'l' },
						 { "nothing", no_argument, NULL, 'n' },
						 { "help", no_argument, NULL, 'h' },
						 {} };
	unsigned long long seed = 0;
	unsigned long most = 4000;
	bool also = false;
	size_t i;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'c':
			most = strtoul(optarg, NULL, 0);
			break;
		case 'd':
			dir = optarg;
			break;
		case 'l':
			also = true;
			break;
		case 'n':
			return 0;
		default:
			die_usage(c == 'h' ? 0 : 2);
		}
	}
	if (optind != argc || !seed || !most)
		die_usage(2);
	for (i = 0; i < ARRAY_SIZE(families); i++)
		apart(&families[i], seed, most);
	if (also)
		look_around();
	return 0;
}
