/*
 * The extension module `ocipy._native._calls`: shim.c for Python, in CPython's own stable interface.
 *
 * What is called once in the life of a container goes through cffi, and is not written twice
 * (build_shim.py). These are the calls that nearly every command makes, and to load cffi's backend, with
 * libseccomp behind it, costs more than the calls do (docs/decisions/0022). ocipy/sys/native.py says what
 * each does. Each raises OSError.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <limits.h>

#include "shim.h"

static PyObject *raise_errno(int rc, const char *path)
{
	errno = -rc;
	return path ? PyErr_SetFromErrnoWithFilename(PyExc_OSError, path) :
		      PyErr_SetFromErrno(PyExc_OSError);
}

static PyObject *int_or_error(int rc, const char *path)
{
	return rc < 0 ? raise_errno(rc, path) : PyLong_FromLong(rc);
}

/* Converters for PyArg_ParseTuple(): its own for unsigned numbers take any, and drop what does not fit. */
static int as_u64(PyObject *object, void *result)
{
	unsigned long long *number = result;

	*number = PyLong_AsUnsignedLongLong(object);
	return !PyErr_Occurred();
}

static int as_uint(PyObject *object, void *result)
{
	unsigned long number = PyLong_AsUnsignedLong(object);

	if (!PyErr_Occurred() && number > UINT_MAX)
		PyErr_SetString(PyExc_OverflowError, "more than 32 bits");
	*(unsigned int *)result = (unsigned int)number;
	return !PyErr_Occurred();
}

static int as_ulong(PyObject *object, void *result)
{
	*(unsigned long *)result = PyLong_AsUnsignedLong(object);
	return !PyErr_Occurred();
}

/* Copy a list of numbers to new memory; NULL with an exception set. */
static int *copy_ints(PyObject *list, Py_ssize_t *count)
{
	int *numbers;

	*count = PyList_Size(list);
	numbers = PyMem_Malloc((size_t)(*count + 1) * sizeof(int));
	if (numbers == NULL) {
		PyErr_NoMemory();
		return NULL;
	}
	for (Py_ssize_t i = 0; i < *count; i++) {
		PyObject *item = PyList_GetItem(list, i); /* NULL if reading the last one has emptied it */
		long number = item ? PyLong_AsLong(item) : -1;

		if (!PyErr_Occurred() && (number < INT_MIN || number > INT_MAX))
			PyErr_SetString(PyExc_OverflowError, "more than an int holds");
		numbers[i] = (int)number;
		if (PyErr_Occurred()) {
			PyMem_Free(numbers);
			return NULL;
		}
	}
	return numbers;
}

/* The strings of a list of bytes, which lives on while they are used; NULL with an exception set. */
static char **strings_of(PyObject *list)
{
	Py_ssize_t count = PyList_Size(list);
	char **strings = PyMem_Malloc((size_t)(count + 1) * sizeof(char *));

	if (strings == NULL) {
		PyErr_NoMemory();
		return NULL;
	}
	strings[count] = NULL;
	for (Py_ssize_t i = 0; i < count; i++) {
		/* NULL for the length: a NUL inside is refused. */
		if (PyBytes_AsStringAndSize(PyList_GetItem(list, i), &strings[i], NULL) < 0) {
			PyMem_Free(strings);
			return NULL;
		}
	}
	return strings;
}

static PyObject *spawn_init(PyObject *self, PyObject *args)
{
	int init_fd, plan_fd, sync_fd, cgroup_fd, stdio[3], pidfd = -1, pid, *inherit;
	unsigned long long clone_flags;
	Py_ssize_t count;
	PyObject *list;

	(void)self;
	if (!PyArg_ParseTuple(args, "iiiO&iO!(iii)", &init_fd, &plan_fd, &sync_fd, as_u64,
			      &clone_flags, &cgroup_fd, &PyList_Type, &list, &stdio[0], &stdio[1], &stdio[2]))
		return NULL;
	inherit = copy_ints(list, &count);
	if (inherit == NULL)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	pid = ocipy_spawn_init(init_fd, plan_fd, sync_fd, clone_flags, cgroup_fd, inherit,
			       (size_t)count, stdio, &pidfd);
	Py_END_ALLOW_THREADS
	PyMem_Free(inherit);
	return pid < 0 ? raise_errno(pid, NULL) : Py_BuildValue("ii", pid, pidfd);
}

static PyObject *spawn_program(PyObject *self, PyObject *args)
{
	PyObject *arguments, *environment;
	char **argv, **env;
	const char *path, *cwd;
	int input_fd, output_fd, pidfd = -1, pid;

	(void)self;
	if (!PyArg_ParseTuple(args, "yO!O!yii", &path, &PyList_Type, &arguments, &PyList_Type,
			      &environment, &cwd, &input_fd, &output_fd))
		return NULL;
	argv = strings_of(arguments);
	env = argv ? strings_of(environment) : NULL;
	if (env == NULL) {
		PyMem_Free(argv);
		return NULL;
	}
	Py_BEGIN_ALLOW_THREADS
	pid = ocipy_spawn_program(path, argv, env, cwd, input_fd, output_fd, &pidfd);
	Py_END_ALLOW_THREADS
	PyMem_Free(argv);
	PyMem_Free(env);
	return pid < 0 ? raise_errno(pid, NULL) : Py_BuildValue("ii", pid, pidfd);
}

static PyObject *socket_pair(PyObject *self, PyObject *args)
{
	int fds[2], rc;

	(void)self, (void)args;
	rc = ocipy_socketpair(fds);
	return rc < 0 ? raise_errno(rc, NULL) : Py_BuildValue("ii", fds[0], fds[1]);
}

static PyObject *connect_unix(PyObject *self, PyObject *args)
{
	const char *path;
	int rc;

	(void)self;
	if (!PyArg_ParseTuple(args, "y", &path))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	rc = ocipy_connect_unix(path);
	Py_END_ALLOW_THREADS
	return int_or_error(rc, path);
}

static PyObject *send_message(PyObject *self, PyObject *args)
{
	int socket_fd, rc, *fds;
	Py_ssize_t length, count;
	const char *data;
	PyObject *list;

	(void)self;
	if (!PyArg_ParseTuple(args, "iy#O!", &socket_fd, &data, &length, &PyList_Type, &list))
		return NULL;
	fds = copy_ints(list, &count);
	if (fds == NULL)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	rc = ocipy_send(socket_fd, data, (size_t)length, fds, (size_t)count);
	Py_END_ALLOW_THREADS
	PyMem_Free(fds);
	return int_or_error(rc, NULL);
}

static PyObject *receive_message(PyObject *self, PyObject *args)
{
	int socket_fd, size, timeout_ms, fd = -1, rc;
	PyObject *result;
	char *data;

	(void)self;
	if (!PyArg_ParseTuple(args, "iii", &socket_fd, &size, &timeout_ms))
		return NULL;
	if (size < 0) {
		PyErr_SetString(PyExc_ValueError, "a negative size");
		return NULL;
	}
	data = PyMem_Malloc((size_t)size);
	if (data == NULL)
		return PyErr_NoMemory();
	Py_BEGIN_ALLOW_THREADS
	rc = ocipy_receive(socket_fd, data, (size_t)size, &fd, timeout_ms);
	Py_END_ALLOW_THREADS
	result = rc < 0 ? raise_errno(rc, NULL) :
			  Py_BuildValue("y#i", data, (Py_ssize_t)rc, fd);
	PyMem_Free(data);
	return result;
}

static PyObject *open_tree(PyObject *self, PyObject *args)
{
	unsigned int flags;
	const char *path;

	(void)self;
	if (!PyArg_ParseTuple(args, "yO&", &path, as_uint, &flags))
		return NULL;
	return int_or_error(ocipy_open_tree(path, flags), path);
}

static PyObject *open_in_root(PyObject *self, PyObject *args)
{
	unsigned long long flags;
	const char *path;
	int root_fd;

	(void)self;
	if (!PyArg_ParseTuple(args, "iyO&", &root_fd, &path, as_u64, &flags))
		return NULL;
	return int_or_error(ocipy_open_in_root(root_fd, path, flags), path);
}

static PyObject *set_prlimit(PyObject *self, PyObject *args)
{
	unsigned long long soft, hard;
	int pid, resource;

	(void)self;
	if (!PyArg_ParseTuple(args, "iiO&O&", &pid, &resource, as_u64, &soft, as_u64, &hard))
		return NULL;
	return int_or_error(ocipy_prlimit(pid, resource, soft, hard), NULL);
}

static PyObject *call_prctl(PyObject *self, PyObject *args)
{
	unsigned long argument;
	int option;

	(void)self;
	if (!PyArg_ParseTuple(args, "iO&", &option, as_ulong, &argument))
		return NULL;
	return int_or_error(ocipy_prctl(option, argument), NULL);
}

static PyObject *call_setns(PyObject *self, PyObject *args)
{
	int fd, clone_flag;

	(void)self;
	if (!PyArg_ParseTuple(args, "ii", &fd, &clone_flag))
		return NULL;
	return int_or_error(ocipy_setns(fd, clone_flag), NULL);
}

static PyMethodDef methods[] = {
	{ "spawn_init", spawn_init, METH_VARARGS, NULL },
	{ "spawn_program", spawn_program, METH_VARARGS, NULL },
	{ "socketpair", socket_pair, METH_NOARGS, NULL },
	{ "connect_unix", connect_unix, METH_VARARGS, NULL },
	{ "send", send_message, METH_VARARGS, NULL },
	{ "receive", receive_message, METH_VARARGS, NULL },
	{ "open_tree", open_tree, METH_VARARGS, NULL },
	{ "open_in_root", open_in_root, METH_VARARGS, NULL },
	{ "prlimit", set_prlimit, METH_VARARGS, NULL },
	{ "prctl", call_prctl, METH_VARARGS, NULL },
	{ "setns", call_setns, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static struct PyModuleDef module = {
	.m_base = PyModuleDef_HEAD_INIT,
	.m_name = "_calls",
	.m_methods = methods,
};

PyMODINIT_FUNC PyInit__calls(void);
PyMODINIT_FUNC PyInit__calls(void)
{
	return PyModuleDef_Init(&module);
}
