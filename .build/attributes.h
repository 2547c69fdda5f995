/* `v.anything = 0` on a compiled `Value` fails as in Python; the message then says what to write instead. It is made
   after the failure. What the call in between costs an assignment that succeeds, it saves: it keeps the setters used
   last instead of looking them up in the type. Force-included like trashcan.h: mypyc completes its types in
   `CPyType_FromTemplate`, by `PyType_Ready`. */

#include <string.h>

static inline int microgrid_refuse(PyObject *self, PyObject *name)
{
    if (!PyErr_ExceptionMatches(PyExc_AttributeError))
        return -1;
    PyObject *known = _PyType_Lookup(Py_TYPE(self), name); /* borrowed; a property has raised a message of its own */
    if (known != NULL && Py_TYPE(known)->tp_descr_set != NULL)
        return -1;
    PyErr_Clear();
    PyObject *module = PyImport_ImportModule("microgrid.core.ported");
    PyObject *message = module ? PyObject_CallMethod(module, "no_room", "O", name) : NULL;
    Py_XDECREF(module);
    if (message != NULL) {
        PyErr_SetObject(PyExc_AttributeError, message);
        Py_DECREF(message);
    }
    return -1;
}

static inline int microgrid_setattro(PyObject *self, PyObject *name, PyObject *value)
{
    if (value == NULL) { /* `del v.data`, for which mypyc's setters would read an object at address 0 */
        PyErr_Format(PyExc_AttributeError, "the attribute %R of a Value cannot be deleted", name);
        return -1;
    }
#ifndef Py_GIL_DISABLED
    static PyObject *names[2]; /* owned: another string must not get their addresses */
    static PyGetSetDef *found[2]; /* of the type as it was at this version */
    static unsigned int version;
    PyTypeObject *type = Py_TYPE(self);
    if (version != 0 && type->tp_version_tag == version) {
        if (name == names[0])
            return found[0]->set(self, value, found[0]->closure);
        if (name == names[1])
            return found[1]->set(self, value, found[1]->closure);
    }
#endif
    if (PyObject_GenericSetAttr(self, name, value) < 0)
        return microgrid_refuse(self, name);
#ifndef Py_GIL_DISABLED
    PyObject *known = _PyType_Lookup(type, name);
    if (known != NULL && Py_IS_TYPE(known, &PyGetSetDescr_Type)) {
        if (type->tp_version_tag != version)
            Py_CLEAR(names[0]);
        version = type->tp_version_tag;
        Py_XSETREF(names[1], names[0]);
        found[1] = found[0];
        names[0] = Py_NewRef(name);
        found[0] = ((PyGetSetDescrObject *)known)->d_getset;
    }
#endif
    return 0;
}

static inline int microgrid_ready(PyTypeObject *type)
{
    if (strcmp(type->tp_name, "Value") == 0)
        type->tp_setattro = microgrid_setattro;
    return PyType_Ready(type);
}

#define PyType_Ready microgrid_ready
