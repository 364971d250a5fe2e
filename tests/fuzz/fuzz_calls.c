/*
 * The extension module of the hot commands, calls_module.c, with whatever a caller in Python could pass
 * to it. The interpreter is embedded, and allocates with malloc(3), so that the sanitizers see it. The
 * functions of shim.c, which fuzz_shim.c is about, only look at what they get, and note the numbers: none
 * may be another than the caller's.
 *
 * The first byte chooses the function, the second what the shim answers; the rest makes the arguments.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <limits.h>
#include <stdbool.h>

#include "fuzz.h"
#include "shim.h"

#define SEEN_MAX 512
#define DEPTH_MAX 3

PyMODINIT_FUNC PyInit__calls(void);

int steps_run;

static const char *const names[] = { "spawn_init", "spawn_program", "socketpair", "connect_unix",
				     "send",	   "receive",	    "open_tree",  "open_in_root",
				     "prlimit",	   "prctl",	    "setns" };
#define NAMES (sizeof(names) / sizeof(names[0]))

/* What Python can do and C does not think of: numbers and bytes of other types, lists that change. */
static const char prepare[] = "class Number:\n"
			      "    def __init__(self, value): self.value = value\n"
			      "    def __index__(self): return self.value\n"
			      "class Shrinking(list): pass\n"
			      "class Shrinks:\n"
			      "    def __init__(self, those): self.those = those\n"
			      "    def __index__(self): self.those.clear(); return 1\n"
			      "class Raises:\n"
			      "    def __index__(self): raise KeyError('on purpose')\n"
			      "class Text(bytes): pass\n"
			      "class Several(tuple): pass\n";

static PyObject *module, *types;
static uint8_t answer;
static bool called;

/* The numbers that the shim was given, in the order of the arguments. */
static __int128 seen[SEEN_MAX];
static size_t seen_count;

static void see(__int128 number)
{
	if (seen_count < SEEN_MAX)
		seen[seen_count++] = number;
}

static void see_all(const int *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		see(numbers[i]);
}

static void look_at_words(char *const *words)
{
	for (; *words; words++)
		look_at(*words, strlen(*words));
}

static int answered(void)
{
	called = true;
	return answer < 128 ? answer : -(answer - 127);
}

int ocipy_spawn_init(int init_fd, int plan_fd, int sync_fd, uint64_t clone_flags, int cgroup_fd,
		     const int *inherit, size_t inherit_count, const int *stdio, int *pidfd)
{
	see(init_fd), see(plan_fd), see(sync_fd), see(clone_flags), see(cgroup_fd);
	see_all(inherit, inherit_count);
	see_all(stdio, 3);
	*pidfd = 7;
	return answered();
}

int ocipy_spawn_program(const char *path, char **argv, char **env, const char *cwd, int input_fd,
			int output_fd, int *pidfd)
{
	look_at(path, strlen(path));
	look_at(cwd, strlen(cwd));
	look_at_words(argv);
	look_at_words(env);
	see(input_fd), see(output_fd);
	*pidfd = 7;
	return answered();
}

int ocipy_socketpair(int fds[2])
{
	fds[0] = fds[1] = 3;
	return answered();
}

int ocipy_connect_unix(const char *path)
{
	look_at(path, strlen(path));
	return answered();
}

int ocipy_send(int socket_fd, const void *data, size_t length, const int *fds, size_t fd_count)
{
	look_at(data, length);
	see(socket_fd);
	see_all(fds, fd_count);
	return answered();
}

/* As much as there is room for, or nearly. */
int ocipy_receive(int socket_fd, void *data, size_t length, int *fd, int timeout_ms)
{
	size_t got = length < 4096 ? length : 4096;

	see(socket_fd), see((__int128)length), see(timeout_ms);
	*fd = answer;
	got -= got && answer % 2;
	memset(data, 'x', got);
	called = true;
	return answer < 128 ? (int)got : -(answer - 127);
}

int ocipy_open_tree(const char *path, unsigned int flags)
{
	look_at(path, strlen(path));
	see(flags);
	return answered();
}

int ocipy_open_in_root(int root_fd, const char *path, uint64_t flags)
{
	look_at(path, strlen(path));
	see(root_fd), see(flags);
	return answered();
}

int ocipy_prlimit(int pid, int resource, uint64_t soft, uint64_t hard)
{
	see(pid), see(resource), see(soft), see(hard);
	return answered();
}

int ocipy_prctl(int option, unsigned long argument)
{
	see(option), see(argument);
	return answered();
}

int ocipy_setns(int fd, int clone_flag)
{
	see(fd), see(clone_flag);
	return answered();
}

/* What is left of the input. */
struct input {
	const uint8_t *next, *end;
};

static uint8_t take_byte(struct input *input)
{
	return input->next < input->end ? *input->next++ : 0;
}

static size_t take_bytes(struct input *input, const uint8_t **bytes)
{
	size_t wanted = take_byte(input), left = (size_t)(input->end - input->next);

	if (wanted == 255)
		wanted = 4096;
	wanted = wanted < left ? wanted : left;
	*bytes = input->next;
	input->next += wanted;
	return wanted;
}

static PyObject *make_number(struct input *input, bool is_signed)
{
	const uint8_t *bytes;
	size_t size = take_bytes(input, &bytes);

	return _PyLong_FromByteArray(bytes, size, 1, is_signed);
}

static PyObject *make(struct input *input, int depth);

static PyObject *make_list(struct input *input, int depth)
{
	PyObject *list = PyList_New(0);

	for (int count = take_byte(input) % 70; list && count && input->next < input->end; count--) {
		PyObject *item = make(input, depth + 1);

		if (!item || PyList_Append(list, item) < 0)
			Py_CLEAR(list);
		Py_XDECREF(item);
	}
	return list;
}

/* An object of one of the classes above, made of another one. */
static PyObject *make_odd(const char *type, PyObject *of)
{
	PyObject *odd = of ? PyObject_CallOneArg(PyDict_GetItemString(types, type), of) : NULL;

	Py_XDECREF(of);
	return odd;
}

static PyObject *make(struct input *input, int depth)
{
	const uint8_t *bytes;
	PyObject *made, *odd;
	size_t size;
	int tag = take_byte(input);

	if (depth >= DEPTH_MAX)
		tag %= 8;
	switch (tag % 20) {
	case 0:
		return PyLong_FromLong((int8_t)take_byte(input));
	case 1:
		return make_number(input, true);
	case 2:
		return make_number(input, false);
	case 3:
	case 4:
		size = take_bytes(input, &bytes);
		return PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)size);
	case 5:
		size = take_bytes(input, &bytes);
		return PyUnicode_DecodeLatin1((const char *)bytes, (Py_ssize_t)size, NULL);
	case 6:
		return Py_NewRef(Py_None);
	case 7:
		return PyBool_FromLong(take_byte(input) % 2);
	case 8:
		return PyFloat_FromDouble(take_byte(input) / 4.0);
	case 9:
		size = take_bytes(input, &bytes);
		return PyByteArray_FromStringAndSize((const char *)bytes, (Py_ssize_t)size);
	case 10:
		return make_odd("Number", make(input, depth + 1));
	case 11:
		return PyObject_CallNoArgs(PyDict_GetItemString(types, "Raises"));
	case 12:
		size = take_bytes(input, &bytes);
		return make_odd("Text", PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)size));
	case 13:
		return make_odd("Several", make_list(input, depth));
	case 14:
		return make_odd("Shrinking", make_list(input, depth));
	case 15:
		/* A list that is emptied while its numbers are read. */
		made = make_list(input, depth);
		odd = made ? make_odd("Shrinks", Py_NewRef(made)) : NULL;
		if (!odd || PyList_Insert(made, 0, odd) < 0)
			Py_CLEAR(made);
		Py_XDECREF(odd);
		return made;
	default:
		made = make_list(input, depth);
		if (!made || tag % 2)
			return made;
		odd = PyList_AsTuple(made);
		Py_DECREF(made);
		return odd;
	}
}

/* Compare with what was seen: the next number, if that is one as Python knows it. */
static void compare(PyObject *given, size_t *at)
{
	unsigned long long number;
	bool negative;

	if (PyList_Check(given) || PyTuple_Check(given)) {
		for (Py_ssize_t i = 0; i < PySequence_Size(given); i++) {
			PyObject *item = PySequence_GetItem(given, i);

			compare(item, at);
			Py_DECREF(item);
		}
		return;
	}
	if (!PyLong_Check(given))
		return;
	if (*at >= seen_count)
		return;
	negative = _PyLong_Sign(given) < 0;
	number = negative ? (unsigned long long)PyLong_AsLongLong(given) : PyLong_AsUnsignedLongLong(given);
	if (PyErr_Occurred() || seen[*at] != (negative ? (__int128)(long long)number : (__int128)number))
		abort(); /* it has become another number on the way */
	(*at)++;
}

/* Where lists hold strings, or numbers of other types, what was seen is in another order. */
static bool is_plain(PyObject *given)
{
	if (PyList_Check(given) || PyTuple_Check(given)) {
		for (Py_ssize_t i = 0; i < PySequence_Size(given); i++) {
			PyObject *item = PySequence_GetItem(given, i);
			bool plain = is_plain(item);

			Py_DECREF(item);
			if (!plain)
				return false;
		}
		return true;
	}
	return PyLong_Check(given) || PyBytes_Check(given);
}

static void begin(void)
{
	PyPreConfig before;
	PyConfig config;
	PyObject *main;

	PyPreConfig_InitIsolatedConfig(&before);
	before.allocator = PYMEM_ALLOCATOR_MALLOC;
	Py_PreInitialize(&before);
	PyImport_AppendInittab("_calls", PyInit__calls);
	PyConfig_InitIsolatedConfig(&config);
	config.site_import = 0;
	config.install_signal_handlers = 0;
	if (PyStatus_Exception(Py_InitializeFromConfig(&config)))
		abort();
	PyConfig_Clear(&config);
	main = PyImport_AddModule("__main__");
	types = PyModule_GetDict(main);
	if (PyRun_SimpleString(prepare) < 0)
		abort();
	module = PyImport_ImportModule("_calls");
	if (!module)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	PyObject *function, *list, *arguments, *result;
	struct input input = { data + 2, data + size };
	size_t at = 0;
	bool plain;

	if (size < 2)
		return 0;
	if (!module)
		begin();
	answer = data[1];
	called = false;
	seen_count = 0;
	list = make_list(&input, 0);
	arguments = list ? PyList_AsTuple(list) : NULL;
	Py_XDECREF(list);
	if (!arguments) {
		PyErr_Clear(); /* there is no such object */
		return 0;
	}
	plain = is_plain(arguments); /* before one of them has changed another */
	function = PyObject_GetAttrString(module, names[data[0] % NAMES]);
	result = PyObject_CallObject(function, arguments);
	if (!result != !!PyErr_Occurred())
		abort();
	if (result && !called)
		abort();
	PyErr_Clear();
	if (called && plain)
		compare(arguments, &at);
	Py_XDECREF(result);
	Py_DECREF(function);
	Py_DECREF(arguments);
	return 0;
}

/* Memory that is wanted and not there is an answer, not a finding. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1:detect_leaks=0";
}
