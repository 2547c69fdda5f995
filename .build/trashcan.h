/* Freeing a chain of a million nodes must not recurse a million deep. CPython's trashcan, which mypyc calls for this,
   links what it puts off through the header of the cycle collector (up to Python 3.13): a `Value` has none, since it
   is acyclic, and the 8 bytes before it belong to something else. This one links through the reference count, which a
   dead object no longer needs; CPython itself does so from 3.14 on. Force-included before the code mypyc generates. */

#include <Python.h>
#include <CPy.h>

#undef CPy_TRASHCAN_BEGIN
#undef CPy_TRASHCAN_END

#define MICROGRID_DEPTH 100 /* frames of some 100 bytes: far from the end of any thread's stack */

#define CPy_TRASHCAN_BEGIN(op, dealloc)                 \
    static Py_ssize_t depth = 0;                        \
    static PyObject *later = NULL;                      \
    if (depth >= MICROGRID_DEPTH) {                     \
        ((PyObject *)op)->ob_refcnt = (Py_ssize_t)later; \
        later = (PyObject *)op;                         \
        return;                                         \
    }                                                   \
    depth++;

#define CPy_TRASHCAN_END(op)                            \
    depth--;                                            \
    while (depth == 0 && later != NULL) {               \
        PyObject *next = later;                         \
        later = (PyObject *)next->ob_refcnt;            \
        next->ob_refcnt = 0;                            \
        Py_TYPE(next)->tp_dealloc(next);                \
    }
