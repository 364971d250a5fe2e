/*
 * The `ocipy` command: execs the interpreter, isolated, on the package.
 *
 * A container engine calls its runtime several times per container. Started as pip starts a console
 * script, CPython reads site, .pth files and everything that PYTHON* variables name; as `-I -S` it
 * needs a fifth of the time, and nothing of the caller's environment, directory or home reaches a
 * process that is root. So this program stands where the script would, and
 *
 *   1. finds the package by its own place, /proc/self/exe: PREFIX/bin/ocipy belongs to
 *      PREFIX/lib/python3.X/site-packages/ocipy (or one of the other layouts below);
 *   2. finds an interpreter of that X;
 *   3. execs PYTHON -I -S -X utf8=1 -X ocipy_path=DIRS [-X ocipy_lc_all=VALUE]
 *      PACKAGE/_native/packed_main.pyc ARGUMENTS, with the environment as it is; PACKAGE/__main__.py
 *      where that was packed for another Python, or not at all.
 *
 * What __main__.py must be told travels as -X options: the caller has no way to set those.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <unistd.h>

#include "launcher_config.h"

#define OLDEST_PYTHON_MINOR 11
#define NEWEST_PYTHON_MINOR 39
#define FIXED_ARGUMENTS 11 /* those of step 3, and the NULL behind all */
#define LEAST_FILES 5      /* standard streams, what runs, and what that loads */

static void die(const char *what, const char *subject, const char *why)
{
	dprintf(STDERR_FILENO, "ocipy: %s%s: %s\n", what, subject, why);
	_exit(1);
}

/* Write a path; false if it is longer than any path the kernel takes. */
__attribute__((format(printf, 2, 3))) static bool path_of(char out[PATH_MAX], const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(out, PATH_MAX, format, args);
	va_end(args);
	return length >= 0 && length < PATH_MAX;
}

static void cut_last_component(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash != NULL)
		*slash = '\0';
}

#ifndef SOURCE_PACKAGE
static bool has_package(char package[PATH_MAX], const char *prefix, int minor)
{
	static const struct {
		const char *lib;
		bool versioned;
		const char *site;
	} layouts[] = {
		{ "lib/python3", true, "/site-packages" }, /* a virtual environment, --user, --prefix */
		{ "lib64/python3", true, "/site-packages" }, /* the same, Fedora */
		{ "lib/python3", true, "/dist-packages" }, /* /usr/local, Debian */
		{ "lib/python3", false, "/dist-packages" }, /* a Debian package */
		{ "", false, "" }, /* pip install --target */
	};
	char main_py[PATH_MAX];
	char version[16] = "";

	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		if (layouts[i].versioned)
			snprintf(version, sizeof(version), ".%d", minor);
		else
			version[0] = '\0';
		if (path_of(package, "%s/%s%s%s/ocipy", prefix, layouts[i].lib, version,
			    layouts[i].site) &&
		    path_of(main_py, "%s/__main__.py", package) && access(main_py, R_OK) == 0)
			return true;
	}
	return false;
}

/* The modules are built for the stable ABI, so one of a later Python serves as well. */
static int find_package(char package[PATH_MAX], const char *prefix)
{
	if (has_package(package, prefix, BUILD_PYTHON_MINOR))
		return BUILD_PYTHON_MINOR;
	for (int minor = OLDEST_PYTHON_MINOR; minor <= NEWEST_PYTHON_MINOR; minor++) {
		if (has_package(package, prefix, minor))
			return minor;
	}
	die("no Python package 'ocipy' under ", prefix, "install it again");
	return 0;
}

/* May the packages of the interpreter itself be used? pyvenv.cfg answers, where there is one. */
static bool sees_system_packages(const char *prefix)
{
	char path[PATH_MAX], text[4096];
	ssize_t length;
	int fd;

	if (!path_of(path, "%s/pyvenv.cfg", prefix))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[length < 0 ? 0 : length] = '\0';
	return strstr(text, "include-system-site-packages = true") != NULL;
}
#endif

static bool is_program(const char *path)
{
	return access(path, X_OK) == 0;
}

/*
 * Debian's interpreter first, whatever made the virtual environment: it is linked statically, and
 * starts up to 1 ms sooner than one that has to load libpython. Debian also splits it: json stands
 * for the half of the standard library that python3.X-minimal lacks.
 */
static void find_interpreter(char interpreter[PATH_MAX], const char *bin_dir, int minor)
{
	char path[PATH_MAX];

	if (path_of(path, "/usr/lib/python3.%d/json/decoder.py", minor) && access(path, R_OK) == 0 &&
	    path_of(interpreter, "/usr/bin/python3.%d", minor) && is_program(interpreter))
		return;
	/* Resolved, because a virtual environment's link makes CPython look for pyvenv.cfg. */
	if (path_of(path, "%s/python3.%d", bin_dir, minor) &&
	    realpath(path, interpreter) != NULL && is_program(interpreter))
		return;
	if (minor == BUILD_PYTHON_MINOR && path_of(interpreter, "%s", BUILD_PYTHON) &&
	    is_program(interpreter))
		return;
	path_of(path, "python3.%d", minor);
	die("no interpreter ", path, "looked for it in /usr/bin and beside this program");
}

/* Where our dependencies may be, beside the directory that holds the package. */
static void list_packages(char *option, size_t size, const char *prefix, const char *interpreter,
			  int minor)
{
#ifdef SOURCE_SITE
	(void)prefix, (void)interpreter, (void)minor;
	snprintf(option, size, "ocipy_path=%s", SOURCE_SITE);
#else
	char base[PATH_MAX];

	snprintf(option, size, "ocipy_path=");
	if (!sees_system_packages(prefix))
		return;
	path_of(base, "%s", interpreter);
	cut_last_component(base);
	cut_last_component(base);
	snprintf(option, size,
		 "ocipy_path=%s/local/lib/python3.%d/dist-packages:%s/lib/python3/dist-packages"
		 ":%s/lib/python3.%d/site-packages",
		 base, minor, base, base, minor);
#endif
}

/* What is packed holds bytecode, which every minor version of Python has its own of. */
static void find_main(char main_file[PATH_MAX], const char *package, int minor)
{
	if (minor == BUILD_PYTHON_MINOR &&
	    path_of(main_file, "%s/_native/packed_main.pyc", package) && access(main_file, R_OK) == 0)
		return;
	if (!path_of(main_file, "%s/__main__.py", package))
		die("cannot start ", package, strerror(ENAMETOOLONG));
}

/*
 * Opens /dev/null where the caller left 0, 1 or 2 closed, as the Go runtime does. Later would be too
 * late: main_file stays open, and gets the first number that is free.
 */
static void open_standard_fds(void)
{
	struct rlimit files;

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", O_RDWR);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < LEAST_FILES)
		die("cannot start: ", "the limit of open files (ulimit -n)", "it is too low");
}

int main(int argc, char **argv)
{
	char bin_dir[PATH_MAX] = "", prefix[PATH_MAX], package[PATH_MAX], interpreter[PATH_MAX];
	char main_file[PATH_MAX], path_option[4 * PATH_MAX], lc_option[PATH_MAX];
	const char *lc_all = getenv("LC_ALL");
	int minor, count = 0;

	/* With set-user-ID, every argument and the environment would be an attacker's. */
	if (getauxval(AT_SECURE) != 0)
		die("refusing to run ", "set-user-ID or with file capabilities", "run it as root");
	open_standard_fds();
	/* Where the caller ignores it, the kernel reaps children, and nobody learns how they ended. */
	signal(SIGCHLD, SIG_DFL);

	if (readlink("/proc/self/exe", bin_dir, sizeof(bin_dir) - 1) < 0)
		die("cannot find myself: readlink ", "/proc/self/exe", strerror(errno));
	cut_last_component(bin_dir);
	memcpy(prefix, bin_dir, sizeof(prefix));
	cut_last_component(prefix);
#ifdef SOURCE_PACKAGE
	minor = BUILD_PYTHON_MINOR;
	path_of(package, "%s", SOURCE_PACKAGE);
#else
	minor = find_package(package, prefix);
#endif
	find_interpreter(interpreter, bin_dir, minor);
	list_packages(path_option, sizeof(path_option), prefix, interpreter, minor);
	find_main(main_file, package, minor);

	char *arguments[FIXED_ARGUMENTS + argc];

	arguments[count++] = interpreter; /* CPython finds its library by this */
	arguments[count++] = "-I";
	arguments[count++] = "-S";
	arguments[count++] = "-X";
	arguments[count++] = "utf8=1";
	arguments[count++] = "-X";
	arguments[count++] = path_option;
	if (lc_all != NULL && path_of(lc_option, "ocipy_lc_all=%s", lc_all)) {
		arguments[count++] = "-X";
		arguments[count++] = lc_option;
	}
	arguments[count++] = main_file;
	for (int i = 1; i < argc; i++)
		arguments[count++] = argv[i];
	arguments[count] = NULL;

	/*
	 * CPython reads the locale's files, and in the C locale those of C.UTF-8, for which it sets
	 * LC_CTYPE (PEP 538): a hundredth of a command's time, for nothing, as utf8=1 says it all.
	 * __main__.py puts LC_ALL back.
	 */
	if (setenv("LC_ALL", "C", 1) != 0)
		die("cannot set ", "LC_ALL", strerror(errno));
	execv(interpreter, arguments);
	die("cannot run ", interpreter, strerror(errno));
}
