/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl: the table of commands, and what all of them share: options, help, messages. */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/un.h>
#include <unistd.h>
#include <curl/curl.h>
#include "ctl.h"
#include "lib/duration.h"
#include "replay.h"

struct command {
	const char *name;
	int (*run)(const struct vst_ctl *ctl, int argc, char **argv);
	const char *summary;
	const struct vst_option *options; /* NULL: only the common ones */
	void (*more)(FILE *out);	  /* further help */
	int operands;			  /* how many it takes at most */
	const char *operand;		  /* what it is called */
};

static int cmd_help(const struct vst_ctl *ctl, int argc, char **argv);

static const struct command commands[] = {
#define X(name, operands, operand, options, more, summary)                                                             \
	{ #name, vst_cmd_##name, summary, options, more, operands, operand },
	VST_COMMANDS(X)
#undef X
		{ "help", cmd_help, "this list, or everything about one command", NULL, NULL, 1, "[COMMAND]" },
};

enum { OPT_SOCKET = 1, OPT_JSON, OPT_VERSION, OPT_AT, OPT_REPLAY };

static const struct vst_option common_options[] = {
	{ OPT_SOCKET, "socket", "PATH", "the agent's socket (default " VST_SOCKET_DEFAULT ")" },
	{ OPT_JSON, "json", NULL, "one JSON object a line" },
	{ OPT_AT, "at", "TIME", "as it was then: 02:47, -10m; from the agent's recording, or that of --replay" },
	{ OPT_REPLAY, "replay", "DIR", "a recording that vstord --record made, here or on another host" },
	{ 'h', "help", NULL, "explain the command" },
	{ OPT_VERSION, "version", NULL, "show the version" },
	{ 0 },
};

void vst_error(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("vstorctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

int vst_usage(const char *command, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "vstorctl%s%s: ", command ? " " : "", command ? command : "");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry 'vstorctl help%s%s'.\n", command ? " " : "", command ? command : "");
	return VST_EXIT_USAGE;
}

int vst_opt_seconds(const struct vst_ctl *ctl, const char *command, int id, double *ret)
{
	const char *text = ctl->opt[id];

	if (text && vst_duration_parse(text, 0.01, 86400, ret))
		return vst_usage(command, "-%c '%s' is not a duration from 10ms to 24h: give 5, 500ms or 2m", id, text);
	return 0;
}

int vst_opt_count(const struct vst_ctl *ctl, const char *command, int id, unsigned long *ret)
{
	const char *text = ctl->opt[id];
	unsigned long v;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	v = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno)
		return vst_usage(command, "-%c '%s' is not a number: give how many, or 0 for no end", id, text);
	*ret = v;
	return 0;
}

bool vst_output_lost(void)
{
	return fflush(stdout) || ferror(stdout);
}

int vst_output_end(int rc)
{
	struct pollfd out = { .fd = STDOUT_FILENO };

	errno = 0;
	if (!vst_output_lost())
		return rc;
	/* A pipe without a reader (`| head`) is how readers say that they have enough. */
	if (errno == EPIPE || (poll(&out, 1, 0) > 0 && out.revents & POLLERR))
		return rc;
	vst_error("the output cannot be written: %s", strerror(errno ? errno : EIO));
	return VST_EXIT_FAILED;
}

static void show_options(FILE *out, const struct vst_option *o)
{
	char flags[64];

	for (; o && o->id; o++) {
		snprintf(flags, sizeof(flags), "%s%c%s--%s%s%s", o->id > 32 ? "-" : " ", o->id > 32 ? o->id : ' ',
			 o->id > 32 ? ", " : "  ", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
		fprintf(out, "  %-22s %s\n", flags, o->help);
	}
}

static void show_command(FILE *out, const struct command *c)
{
	fprintf(out, "vstorctl %s%s%s: %s\n", c->name, c->operand ? " " : "", c->operand ? c->operand : "", c->summary);
	fputs("\nOptions:\n", out);
	show_options(out, c->options);
	show_options(out, common_options);
	if (c->more)
		c->more(out);
}

static void show_help(FILE *out)
{
	fputs("vstorctl: what every block I/O of this host is, where it waits and because of whom\n\n"
	      "  vstorctl [OPTION...] COMMAND [OPTION...]\n\nCommands:\n",
	      out);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
	fputs("\nOptions of every command ('vstorctl help COMMAND' lists the others):\n", out);
	show_options(out, common_options);
	fputs("\nExit codes: 0 ok, 1 failed or the check does not hold, 2 wrong usage, 3 agent unreachable,\n"
	      "4 not permitted, 5 not supported here.\n",
	      out);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	vst_usage(NULL, "there is no command '%s'", name);
	return NULL;
}

static int cmd_help(const struct vst_ctl *ctl, int argc, char **argv)
{
	const struct command *c;

	if (argc < 2) {
		show_help(stdout);
		return VST_EXIT_OK;
	}
	c = find_command(argv[1]);
	if (!c)
		return VST_EXIT_USAGE;
	show_command(stdout, c);
	return VST_EXIT_OK;
}

/* getopt's two forms of our rows. */
struct getopt_form {
	struct option longs[32];
	char shorts[64];
	int nlongs, nshorts;
};

static void add_options(struct getopt_form *f, const struct vst_option *o)
{
	for (; o && o->id; o++) {
		f->longs[f->nlongs++] =
			(struct option){ o->name, o->arg ? required_argument : no_argument, NULL, o->id };
		if (o->id <= 32)
			continue;
		f->shorts[f->nshorts++] = (char)o->id;
		if (o->arg)
			f->shorts[f->nshorts++] = ':';
	}
}

static int bad_option(const struct getopt_form *f, const char *command, int answer, char **argv)
{
	const char *arg = argv[optind - 1];
	char letter[3] = { '-', (char)optopt, '\0' };

	for (int i = 0; i < f->nlongs; i++) {
		if (!optopt || f->longs[i].val != optopt)
			continue;
		if (answer == ':')
			return vst_usage(command, "--%s needs a value", f->longs[i].name);
		return vst_usage(command, "--%s takes no value", f->longs[i].name);
	}
	return vst_usage(command, "unknown option '%s'", optopt ? letter : arg);
}

/*
 * Take the options of argv, common ones and, once it is known, the command's. -1: go on, else the exit code.
 * Without a command it ends at the first word that is no option.
 */
static int take_options(struct vst_ctl *ctl, const struct command *c, int argc, char **argv)
{
	struct getopt_form f = { .shorts = { c ? ':' : '+', c ? '\0' : ':' }, .nshorts = c ? 1 : 2 };
	int id;

	add_options(&f, common_options);
	add_options(&f, c ? c->options : NULL);
	opterr = 0;
	optind = 0; /* glibc: start anew */
	while ((id = getopt_long(argc, argv, f.shorts, f.longs, NULL)) != -1) {
		switch (id) {
		case OPT_SOCKET:
			ctl->socket = optarg;
			break;
		case OPT_JSON:
			ctl->json = true;
			break;
		case OPT_VERSION:
			puts("vstorctl " VSTOR_VERSION);
			return VST_EXIT_OK;
		case 'h':
			if (c)
				show_command(stdout, c);
			else
				show_help(stdout);
			return VST_EXIT_OK;
		case '?':
		case ':':
			return bad_option(&f, c ? c->name : NULL, id, argv);
		default:
			ctl->opt[id] = optarg ? optarg : "";
		}
	}
	return -1;
}

/* Commands about the host itself, or that change something: no recording has what they need. */
static bool is_live_only(const char *command)
{
	static const char *const names[] = { "status", "doctor", "calibrate", "help" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(names[i], command))
			return true;
	return false;
}

/* Opens the recording if one was asked for. 0, or an exit code, having said why. */
static int open_replay(struct vst_ctl *ctl, const struct command *c)
{
	const char *at = ctl->opt[OPT_AT], *dir = ctl->opt[OPT_REPLAY];

	if (!at && !dir)
		return 0;
	if (is_live_only(c->name))
		return vst_usage(c->name, "it shows what is now: --at and --replay are for the views");
	return vst_replay_open(ctl, dir, at, &ctl->replay);
}

static int run(int argc, char **argv)
{
	struct vst_ctl ctl = { .socket = VST_SOCKET_DEFAULT };
	const struct command *c;
	int rc;

	rc = take_options(&ctl, NULL, argc, argv);
	if (rc >= 0)
		return rc;
	argc -= optind;
	argv += optind;
	if (argc < 1) {
		show_help(stderr);
		vst_error("no command was given");
		return VST_EXIT_USAGE;
	}
	c = find_command(argv[0]);
	if (!c)
		return VST_EXIT_USAGE;
	rc = take_options(&ctl, c, argc, argv);
	if (rc >= 0)
		return rc;
	if (argc - optind > c->operands)
		return vst_usage(c->name, "unexpected argument '%s': it takes %s", argv[optind + c->operands],
				 c->operand ? c->operand : "options only");
	if (!*ctl.socket || strlen(ctl.socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return vst_usage(NULL, "--socket '%s' is no path of a socket: it must have 1 to %zu bytes", ctl.socket,
				 sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	/* argv[0] is the command's name: what follows are the operands */
	argv += optind - 1;
	argc -= optind - 1;
	argv[0] = (char *)c->name;
	rc = open_replay(&ctl, c);
	rc = rc ? rc : c->run(&ctl, argc, argv);
	vst_replay_close(ctl.replay);
	return rc == VST_EXIT_INTERRUPTED ? VST_EXIT_OK : rc;
}

int main(int argc, char **argv)
{
	int rc;

	setlocale(LC_CTYPE, ""); /* not LC_NUMERIC: numbers are read and written the same everywhere */
	signal(SIGPIPE, SIG_IGN);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	rc = vst_output_end(run(argc, argv));
	curl_global_cleanup();
	return rc;
}
