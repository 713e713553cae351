// SPDX-License-Identifier: GPL-2.0-only
/* calibrate: measures a disk, and says what iocost should be told about it. Works without an agent. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <math.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ctl.h"
#include "calibrate_load.h"
#include "format.h"
#include "lib/cgmounts.h"
#include "lib/duration.h"
#include "lib/iocost.h"

#define PHASES 4
#define SECONDS 3.0 /* of a phase */
#define GIB (1ULL << 30)
#define BYTES (4 * GIB)		  /* of a direction */
#define FILE_BYTES (256ULL << 20) /* of the file that --write-file makes; larger than what most disks cache for it */
#define DEPTH 32		  /* keeps a disk busy; more shows little else than the queue */
#define LARGE (1024 * 1024)
#define SMALL 4096
#define BUSY 0.05 /* of the I/Os may be others' before the result is in doubt */

enum { OPT_SECONDS = 16, OPT_SHARE, OPT_WRITE_FILE, OPT_WRITE_RAW, OPT_HWDB };

const struct vst_option vst_calibrate_options[] = {
	{ OPT_SECONDS, "seconds", "TIME", "how long each of 4 loads runs, 0.5 to 60 [3]; at most 4 GiB are read" },
	{ OPT_SHARE, "share", "PERCENT", "of the measured speed that the model claims, 10 to 100 [75]" },
	{ OPT_WRITE_FILE, "write-file", "DIR", "measure writes, too, in a file of 256 MiB in DIR, removed afterwards" },
	{ OPT_WRITE_RAW, "write-raw", NULL, "measure writes on the disk itself: DESTROYS what is on it" },
	{ OPT_HWDB, "hwdb", "FILE", "write the result as an entry of systemd's hardware database" },
	{ 0 },
};

struct disk {
	char name[64]; /* the kernel's */
	char path[PATH_MAX];
	unsigned int major, minor;
	char model[128], revision[64];
};

/* The loads, in their order. */
static const struct phase {
	const char *what;
	bool random;
	size_t block;
	unsigned int depth;
} phases[PHASES] = {
	{ "1 MiB, sequential", false, LARGE, DEPTH },
	{ "4 KiB, sequential", false, SMALL, DEPTH },
	{ "4 KiB, random", true, SMALL, DEPTH },
	{ "4 KiB, random, one at a time", true, SMALL, 1 },
};

struct run {
	const struct vst_ctl *ctl;
	const struct disk *disk;
	double seconds, share;
	const char *what; /* of the phase under way */
	bool write;
	bool tty;
	uint64_t ios; /* that were done */
};

static atomic_bool stop;

static void on_signal(int sig)
{
	atomic_store(&stop, true);
}

/* --- the disk --- */

static bool sys_text(const struct disk *d, const char *attribute, char *ret, size_t size)
{
	char path[PATH_MAX];
	FILE *f;

	*ret = 0;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", d->major, d->minor, attribute);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(ret, (int)size, f))
		*ret = 0;
	fclose(f);
	ret[strcspn(ret, "\n")] = 0;
	return true;
}

static bool sys_exists(const struct disk *d, const char *attribute)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", d->major, d->minor, attribute);
	return !access(path, F_OK);
}

/* The kernel's name of a block device: what its link in /sys/dev/block ends with. */
static int kernel_name(unsigned int major, unsigned int minor, char *ret, size_t size, char *ret_parent,
		       size_t parent_size)
{
	char path[64], target[PATH_MAX], *last, *above;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major, minor);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = 0;
	last = strrchr(target, '/');
	if (!last)
		return -EINVAL;
	*last = 0;
	above = strrchr(target, '/');
	snprintf(ret, size, "%s", last + 1);
	snprintf(ret_parent, parent_size, "%s", above ? above + 1 : "");
	return 0;
}

/* Finds the disk of that name; an exit code, explained. */
static int disk_find(const char *name, struct disk *d)
{
	char parent[64];
	struct stat st;
	char holder[8];

	snprintf(d->path, sizeof(d->path), "%s%s", strchr(name, '/') ? "" : "/dev/", name);
	if (stat(d->path, &st)) {
		vst_error("%s: %s; give a disk, such as vda or /dev/vda (lsblk lists them)", d->path, strerror(errno));
		return errno == EACCES ? VST_EXIT_DENIED : VST_EXIT_USAGE;
	}
	if (!S_ISBLK(st.st_mode)) {
		vst_error("%s is no block device; give a disk, such as vda or /dev/vda (lsblk lists them)", d->path);
		return VST_EXIT_USAGE;
	}
	d->major = major(st.st_rdev);
	d->minor = minor(st.st_rdev);
	if (kernel_name(d->major, d->minor, d->name, sizeof(d->name), parent, sizeof(parent))) {
		vst_error("%s: /sys does not know this device, so it is gone or /sys is not mounted", d->path);
		return VST_EXIT_FAILED;
	}
	if (sys_exists(d, "partition")) {
		vst_error("%s is a partition, and iocost works on whole disks; calibrate %s", d->path, parent);
		return VST_EXIT_USAGE;
	}
	if (sys_exists(d, "dm") || sys_exists(d, "md") || sys_exists(d, "bcache/writeback_rate") ||
	    !sys_text(d, "queue/nr_requests", holder, sizeof(holder)) || !strncmp(d->name, "zram", 4)) {
		vst_error("%s lies on other disks, and iocost works on the disks below; 'lsblk -s %s' lists these",
			  d->path, d->path);
		return VST_EXIT_UNSUPPORTED;
	}
	sys_text(d, "device/model", d->model, sizeof(d->model));
	if (!sys_text(d, "device/firmware_rev", d->revision, sizeof(d->revision)))
		sys_text(d, "device/rev", d->revision, sizeof(d->revision));
	return VST_EXIT_OK;
}

/* Reads and writes that the kernel counted. */
static uint64_t disk_ios(const struct disk *d)
{
	unsigned long long read = 0, write = 0;
	char text[256];

	sys_text(d, "stat", text, sizeof(text));
	return sscanf(text, "%llu %*u %*u %*u %llu", &read, &write) == 2 ? read + write : 0;
}

/* --- a phase --- */

static void show_progress(void *arg, double share)
{
	static const char bar[] = "####################";
	const struct run *r = arg;
	int n;

	if (!r->tty)
		return;
	n = share < 0 ? 0 : share > 1 ? 20 : (int)(share * 20);
	fprintf(stderr, "\r%s, %-30s [%-20.*s]", r->write ? "writes" : "reads ", r->what, n, bar);
	fflush(stderr);
}

static int measure_phase(struct run *r, int fd, uint64_t size, const struct phase *p, struct vst_load_result *ret)
{
	struct vst_load load = {
		.fd = fd,
		.size = size,
		.write = r->write,
		.random = p->random,
		.block = p->block,
		.depth = p->depth,
		.seconds = r->seconds,
		.bytes_max = BYTES / PHASES,
	};
	int err;

	r->what = p->what;
	err = vst_load_run(&load, &stop, show_progress, r, ret);
	if (r->tty)
		fputs("\r\033[K", stderr);
	if (err) {
		vst_error("%s: %s failed: %s; nothing can be said about a disk with errors", r->disk->path,
			  r->write ? "a write" : "a read", strerror(-err));
		return VST_EXIT_FAILED;
	}
	r->ios += ret->ios;
	return atomic_load(&stop) ? VST_EXIT_INTERRUPTED : VST_EXIT_OK;
}

static int measure(struct run *r, int fd, uint64_t size, struct vst_disk_speed *ret)
{
	struct vst_load_result p[PHASES];
	int rc;

	for (int i = 0; i < PHASES; i++) {
		rc = measure_phase(r, fd, size, &phases[i], &p[i]);
		if (rc)
			return rc;
	}
	ret->bytes_per_s = (double)p[0].bytes / p[0].seconds;
	ret->seq_iops = (double)p[1].ios / p[1].seconds;
	ret->rand_iops = (double)p[2].ios / p[2].seconds;
	ret->p95_us = p[3].p95_us;
	return VST_EXIT_OK;
}

/* --- reads --- */

static int measure_reads(struct run *r, struct vst_disk_speed *ret)
{
	int fd = open(r->disk->path, O_RDONLY | O_DIRECT | O_CLOEXEC), rc;
	uint64_t size = 0;

	if (fd < 0) {
		vst_error("cannot open %s: %s%s", r->disk->path, strerror(errno),
			  errno == EACCES || errno == EPERM ? "; calibrate needs root, and a disk that it may use"
							    : "");
		return errno == EACCES || errno == EPERM ? VST_EXIT_DENIED : VST_EXIT_FAILED;
	}
	if (ioctl(fd, BLKGETSIZE64, &size) || size < LARGE) {
		vst_error("%s has %llu bytes, too few to measure it", r->disk->path, (unsigned long long)size);
		rc = VST_EXIT_FAILED;
	} else {
		rc = measure(r, fd, size, ret);
	}
	close(fd);
	return rc;
}

/* --- writes --- */

/* Does the directory's file system lie on this disk, or on one of its partitions? */
static bool is_on_disk(const struct disk *d, dev_t fs)
{
	char name[64], parent[64];

	if (kernel_name(major(fs), minor(fs), name, sizeof(name), parent, sizeof(parent)))
		return false;
	return !strcmp(name, d->name) || !strcmp(parent, d->name);
}

/* Blocks that were never written may cost a disk, or its file system, less or more than the ones that a load overwrites. */
static int fill(int fd, uint64_t size)
{
	char *buf;
	int err = 0;

	if (posix_memalign((void **)&buf, SMALL, LARGE))
		return -ENOMEM;
	for (size_t i = 0; i < LARGE; i++)
		buf[i] = (char)(i * 2654435761U >> 11);
	for (uint64_t at = 0; at < size && !err && !atomic_load(&stop); at += LARGE) {
		ssize_t n = pwrite(fd, buf, LARGE, (off_t)at);

		err = n == LARGE ? 0 : n < 0 ? -errno : -ENOSPC;
	}
	free(buf);
	return err ? err : fsync(fd) ? -errno : 0;
}

/* A file without a name: whatever happens to this program, nothing is left. */
static int open_file(struct run *r, const char *dir, int *ret)
{
	struct stat st;
	int fd, err;

	if (stat(dir, &st) || !S_ISDIR(st.st_mode)) {
		vst_error("--write-file %s: %s; give a directory on %s", dir,
			  errno && !S_ISDIR(st.st_mode) ? strerror(errno) : "not a directory", r->disk->path);
		return VST_EXIT_USAGE;
	}
	if (!is_on_disk(r->disk, st.st_dev)) {
		vst_error("--write-file %s is not on %s (nor on a partition of it), so writes there would measure "
			  "another disk; 'findmnt -T %s' tells which",
			  dir, r->disk->path, dir);
		return VST_EXIT_USAGE;
	}
	fd = open(dir, O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
	err = fd < 0 ? -errno : fill(fd, FILE_BYTES);
	if (err) {
		vst_error("cannot make a file of %llu MiB in %s: %s; make room, or choose another directory",
			  FILE_BYTES >> 20, dir, strerror(-err));
		if (fd >= 0)
			close(fd);
		return VST_EXIT_FAILED;
	}
	*ret = fd;
	return VST_EXIT_OK;
}

static int open_raw(struct run *r, int *ret)
{
	/* O_EXCL: nobody, file systems and stacked devices included, has it in use */
	int fd = open(r->disk->path, O_RDWR | O_DIRECT | O_EXCL | O_CLOEXEC);

	if (fd < 0 && errno == EBUSY) {
		vst_error("%s is in use: it, or a partition of it, is mounted, or another device lies on it. Writing "
			  "to it would destroy data; use --write-file with a directory on it",
			  r->disk->path);
		return VST_EXIT_FAILED;
	}
	if (fd < 0) {
		vst_error("cannot open %s for writing: %s", r->disk->path, strerror(errno));
		return errno == EACCES || errno == EPERM ? VST_EXIT_DENIED : VST_EXIT_FAILED;
	}
	*ret = fd;
	return VST_EXIT_OK;
}

static int open_writes(struct run *r, int *ret_fd, uint64_t *ret_size)
{
	const char *dir = r->ctl->opt[OPT_WRITE_FILE];
	int rc = dir ? open_file(r, dir, ret_fd) : open_raw(r, ret_fd);

	*ret_size = FILE_BYTES;
	if (rc || dir || !ioctl(*ret_fd, BLKGETSIZE64, ret_size))
		return rc;
	vst_error("cannot read the size of %s: %s", r->disk->path, strerror(errno));
	return VST_EXIT_FAILED;
}

/* --- the result --- */

static void print_speed(const char *what, const struct vst_disk_speed *s)
{
	printf("%-7s %9.1f MB/s %9.0f /s %9.0f /s %9.0f us\n", what, s->bytes_per_s / 1e6, s->seq_iops, s->rand_iops,
	       s->p95_us);
}

static json_t *json_speed(const struct vst_disk_speed *s)
{
	return json_pack("{s:f,s:f,s:f,s:f}", "bytes_per_second", round(s->bytes_per_s), "sequential_iops",
			 round(s->seq_iops), "random_iops", round(s->rand_iops), "p95_us", round(s->p95_us));
}

struct result {
	struct vst_disk_speed read, write;
	bool wrote;	/* else the writes' figures are the reads' */
	double foreign; /* share of I/Os that were somebody else's */
	char model[VST_IOCOST_TEXT], qos[VST_IOCOST_TEXT];
};

static void print_json(const struct run *r, const struct result *res)
{
	const struct disk *d = r->disk;
	json_t *obj = json_pack("{s:i,s:s,s:s,s:o,s:s,s:s,s:f,s:f}", "schema", 1, "type", "calibration", "device",
				d->name, "read", json_speed(&res->read), "model", res->model, "qos", res->qos, "share",
				r->share, "foreign_share", round(res->foreign * 1e3) / 1e3);

	json_object_set_new(obj, "number", json_sprintf("%u:%u", d->major, d->minor));
	json_object_set_new(obj, "write", res->wrote ? json_speed(&res->write) : json_null());
	vst_json_line(obj);
}

/* Where iocost is set: the root of cgroup v2, if that has the io controller. False: nowhere, and why. */
static bool find_iocost(char root[256], char why[256])
{
	struct vst_cgmount m[VST_HIER__N];
	char path[300];

	*why = 0;
	if (vst_cgmounts_read("", m) || !m[VST_HIER_UNIFIED].mounted) {
		strcpy(why, "cgroup v2 is not mounted, and iocost is a part of its io controller");
		return false;
	}
	snprintf(root, 256, "%s", m[VST_HIER_UNIFIED].where);
	snprintf(path, sizeof(path), "%s/io.cost.model", root);
	if (!access(path, F_OK))
		return true;
	if (m[VST_HIER_BLKIO].exists)
		strcpy(why, "its blkio controller is on cgroup v1, where iocost does not exist: boot with "
			    "systemd.unified_cgroup_hierarchy=1");
	else
		snprintf(why, 256, "%.128s does not exist: the kernel was built without CONFIG_BLK_CGROUP_IOCOST",
			 path);
	return false;
}

static void print_text(const struct run *r, const struct result *res)
{
	const struct disk *d = r->disk;
	char root[256], why[256];
	char *model = vst_escape(d->model);

	printf("%s%s%s, %u:%u\n\n", d->name, *model ? ": " : "", model, d->major, d->minor);
	free(model);
	printf("        1 MiB SEQUENTIAL 4 KiB SEQ.   4 KiB RANDOM  P95 OF ONE\n");
	print_speed("reads", &res->read);
	if (res->wrote)
		print_speed("writes", &res->write);
	else
		printf("writes  not measured: the figures of the reads are taken. --write-file DIR measures them.\n");
	printf("\nFor iocost, at %.0f %% of that, because weights take effect only below the disk's real speed:\n",
	       r->share * 100);
	if (find_iocost(root, why))
		printf("  echo '%u:%u %s' >%s/io.cost.model\n  echo '%u:%u %s' >%s/io.cost.qos\n", d->major, d->minor,
		       res->model, root, d->major, d->minor, res->qos, root);
	else
		printf("  not on this host, because %s. On one where it can be:\n", why);
	printf("%s in a policy of vstor, which vstord --act applies and undoes:\n"
	       "iocost:\n"
	       "  - device: %s\n"
	       "    model: \"%s\"\n"
	       "    qos: \"%s\"\n",
	       *why ? "  write this" : "\nOr", d->name, res->model, res->qos);
}

/* Written beside the file and renamed: a reader sees all of it or nothing. */
static int write_hwdb(const struct run *r, const struct result *res, const char *file)
{
	char match[256], model[VST_IOCOST_TEXT], qos[VST_IOCOST_TEXT], tmp[PATH_MAX];
	const struct disk *d = r->disk;
	FILE *f;
	int err;

	if (!*d->model) {
		vst_error("%s has no model name, so systemd cannot recognise it, and --hwdb %s was not written",
			  d->path, file);
		return VST_EXIT_UNSUPPORTED;
	}
	err = vst_iocost_hwdb_match(d->model, d->revision, match, sizeof(match));
	if (err || snprintf(tmp, sizeof(tmp), "%s.tmp", file) >= (int)sizeof(tmp)) {
		vst_error("--hwdb %s: a name is too long", file);
		return VST_EXIT_FAILED;
	}
	vst_iocost_hwdb_value(res->model, model);
	vst_iocost_hwdb_value(res->qos, qos);
	f = fopen(tmp, "we");
	if (f) {
		fprintf(f,
			"# Measured by vstorctl calibrate. systemd 253 or newer applies it: systemd-hwdb update, then\n"
			"# udevadm trigger %s\n"
			"%s\n  IOCOST_SOLUTIONS=vstor\n  IOCOST_MODEL_VSTOR=%s\n  IOCOST_QOS_VSTOR=%s\n",
			d->path, match, model, qos);
		err = ferror(f) || fflush(f) || fsync(fileno(f)) ? -errno : 0;
		err = fclose(f) && !err ? -errno : err;
		err = err ? err : rename(tmp, file) ? -errno : 0;
		if (err)
			unlink(tmp);
	} else {
		err = -errno;
	}
	if (err) {
		vst_error("cannot write %s: %s; the result is above", file, strerror(-err));
		return VST_EXIT_FAILED;
	}
	if (!r->ctl->json)
		printf("\nWritten to %s. 'systemd-hwdb update' and 'udevadm trigger %s' let systemd 253 or newer apply "
		       "it.\n",
		       file, d->path);
	return VST_EXIT_OK;
}

static int show(const struct run *r, struct result *res)
{
	const struct vst_disk_speed *write = res->wrote ? &res->write : &res->read;

	if (vst_iocost_model(&res->read, write, r->share, res->model) || vst_iocost_qos(&res->read, write, res->qos)) {
		vst_error("%s completed no request in %g s: it is stuck, or too slow to be measured; try --seconds 30",
			  r->disk->path, r->seconds);
		return VST_EXIT_FAILED;
	}
	if (r->ctl->json)
		print_json(r, res);
	else
		print_text(r, res);
	if (res->foreign > BUSY)
		vst_error("%.0f %% of the I/Os in this time were somebody else's, so the disk can do more than was "
			  "measured; calibrate again when it is idle",
			  res->foreign * 100);
	return r->ctl->opt[OPT_HWDB] ? write_hwdb(r, res, r->ctl->opt[OPT_HWDB]) : VST_EXIT_OK;
}

/* --- the command --- */

static int take_number(const struct vst_ctl *ctl, int id, const char *name, double low, double high, double *ret)
{
	const char *text = ctl->opt[id];
	char *end;
	double v;

	if (!text)
		return 0;
	v = strtod(text, &end);
	if (end == text || *end || !(v >= low && v <= high))
		return vst_usage("calibrate", "--%s '%s' is not a number from %g to %g", name, text, low, high);
	*ret = v;
	return 0;
}

static int take_seconds(const struct vst_ctl *ctl, double *ret)
{
	const char *text = ctl->opt[OPT_SECONDS];
	double v;

	if (!text)
		return 0;
	if (vst_duration_parse(text, 0.5, 60, &v))
		return vst_usage("calibrate", "--seconds '%s' is not a time from 500ms to 60s", text);
	*ret = v;
	return 0;
}

/* Reads first; but what is written to is opened, or refused, before anybody waits for that. */
static int run(struct run *r, struct result *res)
{
	uint64_t before = disk_ios(r->disk), all, size;
	int fd = -1, rc = 0;

	res->wrote = r->ctl->opt[OPT_WRITE_FILE] || r->ctl->opt[OPT_WRITE_RAW];
	if (res->wrote)
		rc = open_writes(r, &fd, &size);
	rc = rc ? rc : measure_reads(r, &res->read);
	if (!rc && res->wrote) {
		r->write = true;
		rc = measure(r, fd, size, &res->write);
	}
	if (fd >= 0)
		close(fd);
	all = disk_ios(r->disk) - before;
	/* a file system below --write-file does I/O of its own for us */
	if (all > r->ios && !r->ctl->opt[OPT_WRITE_FILE])
		res->foreign = (double)(all - r->ios) / (double)all;
	return rc;
}

int vst_cmd_calibrate(const struct vst_ctl *ctl, int argc, char **argv)
{
	struct disk d = { 0 };
	struct run r = { .ctl = ctl, .disk = &d, .seconds = SECONDS, .tty = isatty(STDERR_FILENO) };
	struct sigaction action = { .sa_handler = on_signal };
	double percent = VST_IOCOST_SHARE * 100;
	struct result res = { 0 };
	int rc;

	if (argc < 2)
		return vst_usage("calibrate", "no disk was given: calibrate DEVICE");
	rc = take_seconds(ctl, &r.seconds);
	rc = rc ? rc : take_number(ctl, OPT_SHARE, "share", 10, 100, &percent);
	if (!rc && ctl->opt[OPT_WRITE_FILE] && ctl->opt[OPT_WRITE_RAW])
		rc = vst_usage("calibrate", "--write-file and --write-raw exclude each other");
	rc = rc ? rc : disk_find(argv[1], &d);
	if (rc)
		return rc;
	r.share = percent / 100;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	rc = run(&r, &res);
	if (rc == VST_EXIT_INTERRUPTED) {
		vst_error("interrupted: the measurement is incomplete, so nothing is proposed; nothing is left behind");
		return VST_EXIT_FAILED;
	}
	return rc ? rc : show(&r, &res);
}
