; Calls that CPython makes itself: arguments into memory, the kernel, results out of memory. `calls.py` makes the tables
; that are interpreted here, and gives each declared function its address. All words are of 64 bits, and so are pointers.
;
; An object's entries:  for each purpose a chain; for each purpose the general path, a Python function; the variant that
;                       ran last.
; A chain:              its Python object; the number of variants; the variants, which are tried in turn.
; A guard:              its kind; the holder; a name; the object that must be there.
;
; Python code may run where an object is read by name or released. Then another call may begin: it sees that the memory
; is busy, and takes the general path. Nothing here runs while Python code changes a chain: calls hold a reference to it.

%variant = type {
  i64,            ;  0 number of positional arguments
  ptr,            ;  1 name of the keyword argument, or null
  ptr,            ;  2 1 while the memory is in use
  ptr, i64,       ;  3 guards, number of guards
  ptr, i64, ptr,  ;  5 Values from outside, their number, and where their numbers go
  ptr, ptr,       ;  8 program that reads the arguments, and where their numbers go
  ptr, ptr, ptr,  ; 10 program that writes to `out`, or null; the numbers to write; a bound `out`, or null
  ptr, ptr,       ; 13 program that makes the result, and the numbers that the kernel wrote
  i64,            ; 15 1 if other threads may run meanwhile
  ptr, ptr, ptr, ptr, ptr, ptr, ptr, ; 16 the kernel; its sources, strides, table, functions, d and scratch
  ptr,            ; 23 number of calls until one takes the general path, or null for all of them
  i64             ; 24 number of the arguments' numbers that must be finite, and with them those from outside; or 0
}

%walk = type { ptr, ptr, i64, ptr } ; the rest of a program; numbers; 1 if they are written to arrays; `out`

@float = global ptr null
@float64 = global ptr null
@int = global ptr null
@list = global ptr null
@dict = global ptr null
@str = global ptr null
@ndarray = global ptr null
@name_of_entries = global ptr null
@name_of_data = global ptr null
@type_offset = global i64 0

declare ptr @PyByteArray_AsString(ptr)
declare i64 @PyCell_Get(ptr)
declare i64 @PyDict_GetItemWithError(ptr, ptr)
declare ptr @PyDict_New()
declare i32 @PyDict_Next(ptr, ptr, ptr, ptr)
declare i32 @PyDict_SetItem(ptr, ptr, ptr)
declare i64 @PyDict_Size(ptr)
declare void @PyErr_Clear()
declare ptr @PyErr_NoMemory()
declare ptr @PyErr_Occurred()
declare void @PyEval_RestoreThread(ptr)
declare ptr @PyEval_SaveThread()
declare double @PyFloat_AsDouble(ptr)
declare ptr @PyFloat_FromDouble(double)
declare i64 @PyFunction_GetCode(ptr)
declare i64 @PyFunction_GetDefaults(ptr)
declare ptr @PyFunction_GetKwDefaults(ptr)
declare ptr @PyList_GetItem(ptr, i64)
declare ptr @PyList_New(i64)
declare i32 @PyList_SetItem(ptr, i64, ptr)
declare i64 @PyList_Size(ptr)
declare void @PyMem_Free(ptr)
declare ptr @PyMem_Malloc(i64)
declare ptr @PyObject_CallNoArgs(ptr)
declare ptr @PyObject_CallOneArg(ptr, ptr)
declare ptr @PyObject_GetAttr(ptr, ptr)
declare i32 @PyObject_GetBuffer(ptr, ptr, i32)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare void @PyBuffer_Release(ptr)
declare ptr @PyTuple_GetItem(ptr, i64)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare i64 @PyTuple_Size(ptr)
declare i32 @PyUnicode_Compare(ptr, ptr)
declare void @Py_DecRef(ptr)
declare void @Py_IncRef(ptr)
declare ptr @memmove(ptr, ptr, i64)

define internal ptr @type(ptr %object) alwaysinline nounwind {
  %offset = load i64, ptr @type_offset
  %at = getelementptr i8, ptr %object, i64 %offset
  %type = load ptr, ptr %at
  ret ptr %type
}

define internal i64 @next(ptr %walk) alwaysinline nounwind { ; the next word of the program
  %at = load ptr, ptr %walk
  %word = load i64, ptr %at
  %after = getelementptr i64, ptr %at, i64 1
  store ptr %after, ptr %walk
  ret i64 %word
}

define internal ptr @numbers(ptr %walk, i64 %count) alwaysinline nounwind { ; where the next numbers are
  %field = getelementptr %walk, ptr %walk, i64 0, i32 1
  %at = load ptr, ptr %field
  %after = getelementptr double, ptr %at, i64 %count
  store ptr %after, ptr %field
  ret ptr %at
}

define internal i1 @take_float(ptr %object, ptr %walk) alwaysinline nounwind {
  %type = call ptr @type(ptr %object)
  %float = load ptr, ptr @float
  %plain = icmp eq ptr %type, %float
  br i1 %plain, label %yes, label %other
other:
  %float64 = load ptr, ptr @float64
  %scalar = icmp eq ptr %type, %float64
  br i1 %scalar, label %yes, label %whole
whole:
  %int = load ptr, ptr @int
  %integer = icmp eq ptr %type, %int
  br i1 %integer, label %yes, label %no
yes:
  %number = call double @PyFloat_AsDouble(ptr %object)
  %at = call ptr @numbers(ptr %walk, i64 1)
  store double %number, ptr %at
  %doubtful = fcmp oeq double %number, -1.0
  br i1 %doubtful, label %check, label %done
check: ; a whole number may be too large
  %error = call ptr @PyErr_Occurred()
  %fine = icmp eq ptr %error, null
  br i1 %fine, label %done, label %no
done:
  ret i1 true
no:
  ret i1 false
}

; Read an argument into numbers, or write numbers to the arrays of `out`: false where it is not as the program says.
define internal i1 @walk(ptr %object, ptr %walk) nounwind {
entry:
  %buffer = alloca [10 x ptr]
  %position = alloca i64
  %key = alloca ptr
  %item = alloca ptr
  %type = call ptr @type(ptr %object)
  %op = call i64 @next(ptr %walk)
  switch i64 %op, label %no [
    i64 0, label %op.float
    i64 1, label %op.floats
    i64 2, label %op.sequence
    i64 3, label %op.dict
    i64 4, label %op.array
    i64 5, label %op.same
    i64 6, label %op.memory
  ]

op.float:
  %taken = call i1 @take_float(ptr %object, ptr %walk)
  ret i1 %taken

op.floats: ; count: a list of floats
  %floats.count = call i64 @next(ptr %walk)
  %list = load ptr, ptr @list
  %floats.is = icmp eq ptr %type, %list
  br i1 %floats.is, label %floats.size, label %no
floats.size:
  %floats.length = call i64 @PyList_Size(ptr %object)
  %floats.fits = icmp eq i64 %floats.length, %floats.count
  br i1 %floats.fits, label %floats.loop, label %no
floats.loop:
  %floats.i = phi i64 [ 0, %floats.size ], [ %floats.next, %floats.body ]
  %floats.more = icmp slt i64 %floats.i, %floats.count
  br i1 %floats.more, label %floats.body, label %yes
floats.body:
  %floats.item = call ptr @PyList_GetItem(ptr %object, i64 %floats.i)
  %floats.taken = call i1 @take_float(ptr %floats.item, ptr %walk)
  %floats.next = add i64 %floats.i, 1
  br i1 %floats.taken, label %floats.loop, label %no

op.sequence: ; type, count, items
  %sequence.type = call i64 @next(ptr %walk)
  %sequence.count = call i64 @next(ptr %walk)
  %sequence.mine = ptrtoint ptr %type to i64
  %sequence.is = icmp eq i64 %sequence.type, %sequence.mine
  br i1 %sequence.is, label %sequence.size, label %no
sequence.size:
  %sequence.list = load ptr, ptr @list
  %sequence.listed = icmp eq ptr %type, %sequence.list
  %sequence.get = select i1 %sequence.listed, ptr @PyList_GetItem, ptr @PyTuple_GetItem
  %sequence.len = select i1 %sequence.listed, ptr @PyList_Size, ptr @PyTuple_Size
  %sequence.length = call i64 %sequence.len(ptr %object)
  %sequence.fits = icmp eq i64 %sequence.length, %sequence.count
  br i1 %sequence.fits, label %sequence.loop, label %no
sequence.loop:
  %sequence.i = phi i64 [ 0, %sequence.size ], [ %sequence.next, %sequence.body ]
  %sequence.more = icmp slt i64 %sequence.i, %sequence.count
  br i1 %sequence.more, label %sequence.body, label %yes
sequence.body:
  %sequence.item = call ptr %sequence.get(ptr %object, i64 %sequence.i)
  %sequence.taken = call i1 @walk(ptr %sequence.item, ptr %walk)
  %sequence.next = add i64 %sequence.i, 1
  br i1 %sequence.taken, label %sequence.loop, label %no

op.dict: ; count, then for each item in turn its key, a string, and the item
  %dict.count = call i64 @next(ptr %walk)
  %dict = load ptr, ptr @dict
  %dict.is = icmp eq ptr %type, %dict
  br i1 %dict.is, label %dict.size, label %no
dict.size:
  %dict.length = call i64 @PyDict_Size(ptr %object)
  %dict.fits = icmp eq i64 %dict.length, %dict.count
  store i64 0, ptr %position
  br i1 %dict.fits, label %dict.loop, label %no
dict.loop:
  %dict.i = phi i64 [ 0, %dict.size ], [ %dict.next, %dict.item ]
  %dict.more = icmp slt i64 %dict.i, %dict.count
  br i1 %dict.more, label %dict.body, label %yes
dict.body:
  %dict.found = call i32 @PyDict_Next(ptr %object, ptr %position, ptr %key, ptr %item)
  %dict.there = icmp ne i32 %dict.found, 0
  br i1 %dict.there, label %dict.key, label %no
dict.key:
  %dict.wanted = call i64 @next(ptr %walk)
  %dict.expected = inttoptr i64 %dict.wanted to ptr
  %dict.have = load ptr, ptr %key
  %dict.same = icmp eq ptr %dict.have, %dict.expected
  br i1 %dict.same, label %dict.item, label %dict.string
dict.string:
  %dict.type = call ptr @type(ptr %dict.have)
  %str = load ptr, ptr @str
  %dict.str = icmp eq ptr %dict.type, %str
  br i1 %dict.str, label %dict.compare, label %no
dict.compare:
  %dict.differs = call i32 @PyUnicode_Compare(ptr %dict.have, ptr %dict.expected)
  %dict.equal = icmp eq i32 %dict.differs, 0
  br i1 %dict.equal, label %dict.item, label %no
dict.item:
  %dict.at = load ptr, ptr %item
  %dict.taken = call i1 @walk(ptr %dict.at, ptr %walk)
  %dict.next = add i64 %dict.i, 1
  br i1 %dict.taken, label %dict.loop, label %no

op.array: ; size, number of axes, shape: a contiguous array of float64
  %array.count = call i64 @next(ptr %walk)
  %array.axes = call i64 @next(ptr %walk)
  %array.shape = load ptr, ptr %walk
  %array.after = getelementptr i64, ptr %array.shape, i64 %array.axes
  store ptr %array.after, ptr %walk
  %ndarray = load ptr, ptr @ndarray
  %array.is = icmp eq ptr %type, %ndarray
  br i1 %array.is, label %array.buffer, label %no
array.buffer:
  %array.writes = getelementptr %walk, ptr %walk, i64 0, i32 2
  %array.out = load i64, ptr %array.writes
  %array.writable = trunc i64 %array.out to i32
  %array.flags = or i32 %array.writable, 60 ; PyBUF_C_CONTIGUOUS | PyBUF_FORMAT, and PyBUF_WRITABLE is 1
  %array.failed = call i32 @PyObject_GetBuffer(ptr %object, ptr %buffer, i32 %array.flags)
  %array.got = icmp eq i32 %array.failed, 0
  br i1 %array.got, label %array.format, label %no
array.format: ; Py_buffer: void *buf; PyObject *obj; ssize_t len, itemsize; int readonly, ndim; char *format; ssize_t *shape
  %array.format.field = getelementptr [10 x ptr], ptr %buffer, i64 0, i64 5
  %array.format.at = load ptr, ptr %array.format.field
  %array.format.first = load i8, ptr %array.format.at
  %array.format.second.at = getelementptr i8, ptr %array.format.at, i64 1
  %array.format.second = load i8, ptr %array.format.second.at
  %array.letter = icmp eq i8 %array.format.first, 100 ; "d"
  %array.alone = icmp eq i8 %array.format.second, 0
  %array.double = and i1 %array.letter, %array.alone
  %array.ndim.field = getelementptr i8, ptr %buffer, i64 36
  %array.ndim = load i32, ptr %array.ndim.field
  %array.ndim.wide = sext i32 %array.ndim to i64
  %array.ndim.fits = icmp eq i64 %array.ndim.wide, %array.axes
  %array.fits = and i1 %array.double, %array.ndim.fits
  %array.shape.field = getelementptr [10 x ptr], ptr %buffer, i64 0, i64 6
  %array.shape.at = load ptr, ptr %array.shape.field
  br i1 %array.fits, label %array.loop, label %array.release
array.loop:
  %array.i = phi i64 [ 0, %array.format ], [ %array.next, %array.axis ]
  %array.more = icmp slt i64 %array.i, %array.axes
  br i1 %array.more, label %array.axis, label %array.copy
array.axis:
  %array.axis.at = getelementptr i64, ptr %array.shape.at, i64 %array.i
  %array.axis.length = load i64, ptr %array.axis.at
  %array.axis.wanted.at = getelementptr i64, ptr %array.shape, i64 %array.i
  %array.axis.wanted = load i64, ptr %array.axis.wanted.at
  %array.axis.fits = icmp eq i64 %array.axis.length, %array.axis.wanted
  %array.next = add i64 %array.i, 1
  br i1 %array.axis.fits, label %array.loop, label %array.release
array.copy:
  %array.data = load ptr, ptr %buffer
  call void @copy(ptr %walk, ptr %array.data, i64 %array.count)
  br label %array.release
array.release:
  %array.taken = phi i1 [ false, %array.format ], [ false, %array.axis ], [ true, %array.copy ]
  call void @PyBuffer_Release(ptr %buffer)
  ret i1 %array.taken

op.same: ; object
  %same.wanted = call i64 @next(ptr %walk)
  %same.given = ptrtoint ptr %object to i64
  %same.is = icmp eq i64 %same.wanted, %same.given
  ret i1 %same.is

op.memory: ; address, size
  %memory.address = call i64 @next(ptr %walk)
  %memory.count = call i64 @next(ptr %walk)
  %memory.at = inttoptr i64 %memory.address to ptr
  call void @copy(ptr %walk, ptr %memory.at, i64 %memory.count)
  ret i1 true

yes:
  ret i1 true
no:
  ret i1 false
}

define internal void @copy(ptr %walk, ptr %array, i64 %count) alwaysinline nounwind {
  %numbers = call ptr @numbers(ptr %walk, i64 %count)
  %field = getelementptr %walk, ptr %walk, i64 0, i32 2
  %out = load i64, ptr %field
  %writes = icmp ne i64 %out, 0
  %to = select i1 %writes, ptr %array, ptr %numbers
  %from = select i1 %writes, ptr %numbers, ptr %array
  %bytes = mul i64 %count, 8
  %ignored = call ptr @memmove(ptr %to, ptr %from, i64 %bytes)
  ret void
}

; Make a result: null with an exception where that fails.
define internal ptr @give(ptr %walk) nounwind {
entry:
  %numbers.field = getelementptr %walk, ptr %walk, i64 0, i32 1
  %numbers = load ptr, ptr %numbers.field
  %op = call i64 @next(ptr %walk)
  switch i64 %op, label %op.out [
    i64 0, label %op.float
    i64 1, label %op.floats
    i64 2, label %op.list
    i64 3, label %op.tuple
    i64 4, label %op.dict
    i64 5, label %op.array
    i64 6, label %op.call
  ]

op.float: ; index
  %float.i = call i64 @next(ptr %walk)
  %float.at = getelementptr double, ptr %numbers, i64 %float.i
  %float.number = load double, ptr %float.at
  %float = call ptr @PyFloat_FromDouble(double %float.number)
  ret ptr %float

op.floats: ; first index, count: a list of floats
  %floats.first = call i64 @next(ptr %walk)
  %floats.count = call i64 @next(ptr %walk)
  %floats = call ptr @PyList_New(i64 %floats.count)
  %floats.failed = icmp eq ptr %floats, null
  br i1 %floats.failed, label %nothing, label %floats.loop
floats.loop:
  %floats.i = phi i64 [ 0, %op.floats ], [ %floats.next, %floats.set ]
  %floats.more = icmp slt i64 %floats.i, %floats.count
  br i1 %floats.more, label %floats.body, label %done
floats.body:
  %floats.index = add i64 %floats.first, %floats.i
  %floats.at = getelementptr double, ptr %numbers, i64 %floats.index
  %floats.number = load double, ptr %floats.at
  %floats.item = call ptr @PyFloat_FromDouble(double %floats.number)
  %floats.none = icmp eq ptr %floats.item, null
  br i1 %floats.none, label %drop, label %floats.set
floats.set:
  %floats.ignored = call i32 @PyList_SetItem(ptr %floats, i64 %floats.i, ptr %floats.item)
  %floats.next = add i64 %floats.i, 1
  br label %floats.loop

op.list: ; count, items
  %list.count = call i64 @next(ptr %walk)
  %list = call ptr @PyList_New(i64 %list.count)
  br label %op.sequence
op.tuple: ; count, items
  %tuple.count = call i64 @next(ptr %walk)
  %tuple = call ptr @PyTuple_New(i64 %tuple.count)
  br label %op.sequence
op.sequence:
  %sequence = phi ptr [ %list, %op.list ], [ %tuple, %op.tuple ]
  %sequence.count = phi i64 [ %list.count, %op.list ], [ %tuple.count, %op.tuple ]
  %sequence.set = phi ptr [ @PyList_SetItem, %op.list ], [ @PyTuple_SetItem, %op.tuple ]
  %sequence.failed = icmp eq ptr %sequence, null
  br i1 %sequence.failed, label %nothing, label %sequence.loop
sequence.loop:
  %sequence.i = phi i64 [ 0, %op.sequence ], [ %sequence.next, %sequence.item ]
  %sequence.more = icmp slt i64 %sequence.i, %sequence.count
  br i1 %sequence.more, label %sequence.body, label %done
sequence.body:
  %sequence.given = call ptr @give(ptr %walk)
  %sequence.none = icmp eq ptr %sequence.given, null
  br i1 %sequence.none, label %drop, label %sequence.item
sequence.item:
  %sequence.ignored = call i32 %sequence.set(ptr %sequence, i64 %sequence.i, ptr %sequence.given)
  %sequence.next = add i64 %sequence.i, 1
  br label %sequence.loop

op.dict: ; count, then for each item its key and the item
  %dict.count = call i64 @next(ptr %walk)
  %dict = call ptr @PyDict_New()
  %dict.failed = icmp eq ptr %dict, null
  br i1 %dict.failed, label %nothing, label %dict.loop
dict.loop:
  %dict.i = phi i64 [ 0, %op.dict ], [ %dict.next, %dict.item ]
  %dict.more = icmp slt i64 %dict.i, %dict.count
  br i1 %dict.more, label %dict.body, label %done
dict.body:
  %dict.word = call i64 @next(ptr %walk)
  %dict.key = inttoptr i64 %dict.word to ptr
  %dict.given = call ptr @give(ptr %walk)
  %dict.none = icmp eq ptr %dict.given, null
  br i1 %dict.none, label %drop, label %dict.item
dict.item:
  %dict.error = call i32 @PyDict_SetItem(ptr %dict, ptr %dict.key, ptr %dict.given)
  call void @Py_DecRef(ptr %dict.given)
  %dict.next = add i64 %dict.i, 1
  %dict.set = icmp eq i32 %dict.error, 0
  br i1 %dict.set, label %dict.loop, label %drop

op.array: ; the method `copy` of an array on these numbers
  %array.word = call i64 @next(ptr %walk)
  %array.copy = inttoptr i64 %array.word to ptr
  %array = call ptr @PyObject_CallNoArgs(ptr %array.copy)
  ret ptr %array

op.call: ; function, its argument
  %call.word = call i64 @next(ptr %walk)
  %call.function = inttoptr i64 %call.word to ptr
  %call.given = call ptr @give(ptr %walk)
  %call.none = icmp eq ptr %call.given, null
  br i1 %call.none, label %nothing, label %call.do
call.do:
  %call.result = call ptr @PyObject_CallOneArg(ptr %call.function, ptr %call.given)
  call void @Py_DecRef(ptr %call.given)
  ret ptr %call.result

op.out: ; `out` itself
  %out.field = getelementptr %walk, ptr %walk, i64 0, i32 3
  %out = load ptr, ptr %out.field
  call void @Py_IncRef(ptr %out)
  ret ptr %out

done:
  %made = phi ptr [ %floats, %floats.loop ], [ %sequence, %sequence.loop ], [ %dict, %dict.loop ]
  ret ptr %made
drop:
  %half = phi ptr [ %floats, %floats.body ], [ %sequence, %sequence.body ], [ %dict, %dict.body ], [ %dict, %dict.item ]
  call void @Py_DecRef(ptr %half)
  ret ptr null
nothing:
  ret ptr null
}

; True if the object is there that was there when the variant was compiled.
define internal i1 @holds(ptr %guard) nounwind {
entry:
  %kind = load i64, ptr %guard
  %holder.at = getelementptr ptr, ptr %guard, i64 1
  %holder = load ptr, ptr %holder.at
  %name.at = getelementptr ptr, ptr %guard, i64 2
  %name = load ptr, ptr %name.at
  %expected.at = getelementptr i64, ptr %guard, i64 3
  %expected = load i64, ptr %expected.at
  switch i64 %kind, label %op.attribute [
    i64 0, label %op.code
    i64 1, label %op.defaults
    i64 2, label %op.kwdefaults
    i64 3, label %op.item
    i64 4, label %op.cell
  ]
op.code:
  %code = call i64 @PyFunction_GetCode(ptr %holder)
  br label %borrowed
op.defaults:
  %defaults = call i64 @PyFunction_GetDefaults(ptr %holder)
  br label %borrowed
op.kwdefaults:
  %kwdefaults = call ptr @PyFunction_GetKwDefaults(ptr %holder)
  %without = icmp eq ptr %kwdefaults, null
  br i1 %without, label %borrowed, label %op.item
op.item:
  %dict = phi ptr [ %holder, %entry ], [ %kwdefaults, %op.kwdefaults ]
  %item = call i64 @PyDict_GetItemWithError(ptr %dict, ptr %name)
  br label %borrowed
borrowed:
  %there = phi i64 [ %code, %op.code ], [ %defaults, %op.defaults ], [ 0, %op.kwdefaults ], [ %item, %op.item ]
  %there.is = icmp eq i64 %there, %expected
  %there.none = icmp eq i64 %there, 0
  br i1 %there.none, label %borrowed.none, label %answer
borrowed.none:
  %error = call ptr @PyErr_Occurred()
  %well = icmp eq ptr %error, null
  %there.missing = and i1 %well, %there.is
  br label %answer
op.cell:
  %cell = call i64 @PyCell_Get(ptr %holder)
  br label %owned
op.attribute:
  %attribute = call ptr @PyObject_GetAttr(ptr %holder, ptr %name)
  %attribute.word = ptrtoint ptr %attribute to i64
  br label %owned
owned:
  %mine = phi i64 [ %cell, %op.cell ], [ %attribute.word, %op.attribute ]
  %mine.is = icmp eq i64 %mine, %expected
  %mine.object = inttoptr i64 %mine to ptr
  call void @Py_DecRef(ptr %mine.object) ; which takes null
  br label %answer
answer:
  %is = phi i1 [ %there.is, %borrowed ], [ %there.missing, %borrowed.none ], [ %mine.is, %owned ]
  ret i1 %is
}

; True if no number is inf or nan.
define internal i1 @finite(ptr %numbers, i64 %count) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %body, label %yes
body:
  %at = getelementptr double, ptr %numbers, i64 %i
  %x = load double, ptr %at
  %zero = fsub double %x, %x
  %ordinary = fcmp oeq double %zero, 0.0
  %next = add i64 %i, 1
  br i1 %ordinary, label %loop, label %no
yes:
  ret i1 true
no:
  ret i1 false
}

; Call one variant: the result, null with an exception, or 1 where it is not for these arguments.
define internal ptr @attempt(ptr %entries, ptr %v, ptr %args, i64 %n, ptr %names) nounwind {
entry:
  %walk = alloca %walk
  %positional = load i64, ptr %v
  %n.fits = icmp eq i64 %n, %positional
  br i1 %n.fits, label %keywords, label %no
keywords:
  %keyword.at = getelementptr %variant, ptr %v, i64 0, i32 1
  %keyword = load ptr, ptr %keyword.at
  %names.none = icmp eq ptr %names, null
  br i1 %names.none, label %keywords.none, label %keywords.some
keywords.some:
  %names.count = call i64 @PyTuple_Size(ptr %names)
  switch i64 %names.count, label %no [
    i64 0, label %keywords.none
    i64 1, label %keywords.one
  ]
keywords.one:
  %given = call ptr @PyTuple_GetItem(ptr %names, i64 0)
  %given.fits = icmp eq ptr %given, %keyword
  br i1 %given.fits, label %idle, label %no
keywords.none:
  %wants.none = icmp eq ptr %keyword, null
  br i1 %wants.none, label %idle, label %no

idle:
  %has.out = phi i1 [ true, %keywords.one ], [ false, %keywords.none ]
  %busy.at = getelementptr %variant, ptr %v, i64 0, i32 2
  %busy = load ptr, ptr %busy.at
  %guards.at = getelementptr %variant, ptr %v, i64 0, i32 3
  %guards = load ptr, ptr %guards.at
  %guards.count.at = getelementptr %variant, ptr %v, i64 0, i32 4
  %guards.count = load i64, ptr %guards.count.at
  br label %guards.loop
guards.loop:
  %guards.i = phi i64 [ 0, %idle ], [ %guards.next, %guards.body ]
  %guards.more = icmp slt i64 %guards.i, %guards.count
  br i1 %guards.more, label %guards.body, label %begin
guards.body:
  %guard = getelementptr [4 x i64], ptr %guards, i64 %guards.i
  %guard.holds = call i1 @holds(ptr %guard)
  %guards.next = add i64 %guards.i, 1
  br i1 %guard.holds, label %guards.loop, label %no

begin:
  %in.use = load i64, ptr %busy
  %free = icmp eq i64 %in.use, 0
  br i1 %free, label %counted, label %no
counted:
  %left.at.field = getelementptr %variant, ptr %v, i64 0, i32 23
  %left.at = load ptr, ptr %left.at.field
  %left.all = icmp eq ptr %left.at, null
  br i1 %left.all, label %outside, label %left
left:
  %left.before = load i64, ptr %left.at
  %left.after = sub i64 %left.before, 1
  store i64 %left.after, ptr %left.at
  %left.more = icmp sgt i64 %left.before, 0
  br i1 %left.more, label %outside, label %no
outside:
  store i64 1, ptr %busy
  %values.at = getelementptr %variant, ptr %v, i64 0, i32 5
  %values = load ptr, ptr %values.at
  %values.count.at = getelementptr %variant, ptr %v, i64 0, i32 6
  %values.count = load i64, ptr %values.count.at
  %p.at = getelementptr %variant, ptr %v, i64 0, i32 7
  %p = load ptr, ptr %p.at
  br label %outside.loop
outside.loop:
  %outside.i = phi i64 [ 0, %outside ], [ %outside.next, %outside.set ]
  %outside.more = icmp slt i64 %outside.i, %values.count
  br i1 %outside.more, label %outside.read, label %arguments
outside.read:
  %value.at = getelementptr ptr, ptr %values, i64 %outside.i
  %value = load ptr, ptr %value.at
  %data.name = load ptr, ptr @name_of_data
  %data = call ptr @PyObject_GetAttr(ptr %value, ptr %data.name)
  %data.none = icmp eq ptr %data, null
  br i1 %data.none, label %refuse, label %outside.type
outside.type:
  %data.type = call ptr @type(ptr %data)
  %float = load ptr, ptr @float
  %data.float = icmp eq ptr %data.type, %float
  br i1 %data.float, label %outside.set, label %outside.drop
outside.drop:
  call void @Py_DecRef(ptr %data)
  br label %refuse
outside.set:
  %data.number = call double @PyFloat_AsDouble(ptr %data)
  call void @Py_DecRef(ptr %data)
  %p.place = getelementptr double, ptr %p, i64 %outside.i
  store double %data.number, ptr %p.place
  %outside.next = add i64 %outside.i, 1
  br label %outside.loop

arguments:
  %program.at = getelementptr %variant, ptr %v, i64 0, i32 8
  %x.at = getelementptr %variant, ptr %v, i64 0, i32 9
  call void @start(ptr %walk, ptr %program.at, ptr %x.at, i64 0, ptr null)
  br label %arguments.loop
arguments.loop:
  %arguments.i = phi i64 [ 0, %arguments ], [ %arguments.next, %arguments.body ]
  %arguments.more = icmp slt i64 %arguments.i, %n
  br i1 %arguments.more, label %arguments.body, label %bound
arguments.body:
  %argument.at = getelementptr ptr, ptr %args, i64 %arguments.i
  %argument = load ptr, ptr %argument.at
  %argument.taken = call i1 @walk(ptr %argument, ptr %walk)
  %arguments.next = add i64 %arguments.i, 1
  br i1 %argument.taken, label %arguments.loop, label %refuse
bound:
  call void @memories(ptr %walk)
  %finite.at = getelementptr %variant, ptr %v, i64 0, i32 24
  %finite.count = load i64, ptr %finite.at
  %finite.all = icmp eq i64 %finite.count, 0
  br i1 %finite.all, label %ready, label %check
check:
  %check.x = load ptr, ptr %x.at
  %x.finite = call i1 @finite(ptr %check.x, i64 %finite.count)
  %p.finite = call i1 @finite(ptr %p, i64 %values.count)
  %both.finite = and i1 %x.finite, %p.finite
  br i1 %both.finite, label %ready, label %refuse
ready:
  %last.at = getelementptr ptr, ptr %entries, i64 12
  store ptr %v, ptr %last.at
  %releases.at = getelementptr %variant, ptr %v, i64 0, i32 15
  %releases = load i64, ptr %releases.at
  %long = icmp ne i64 %releases, 0
  br i1 %long, label %compute.long, label %compute.short
compute.short:
  call void @run(ptr %v)
  br label %write
compute.long:
  %thread = call ptr @PyEval_SaveThread()
  call void @run(ptr %v)
  call void @PyEval_RestoreThread(ptr %thread)
  br label %write

write:
  %writer.at = getelementptr %variant, ptr %v, i64 0, i32 10
  %writer = load ptr, ptr %writer.at
  %written = icmp ne ptr %writer, null
  br i1 %written, label %write.out, label %result
write.out:
  %numbers.at = getelementptr %variant, ptr %v, i64 0, i32 11
  call void @start(ptr %walk, ptr %writer.at, ptr %numbers.at, i64 1, ptr null)
  br i1 %has.out, label %write.given, label %write.bound
write.given:
  %given.at = getelementptr ptr, ptr %args, i64 %n
  %given.out = load ptr, ptr %given.at
  %given.taken = call i1 @walk(ptr %given.out, ptr %walk)
  br i1 %given.taken, label %result, label %refuse
write.bound:
  call void @memories(ptr %walk)
  %bound.at = getelementptr %variant, ptr %v, i64 0, i32 12
  %bound.out = load ptr, ptr %bound.at
  br label %result

result:
  %result.out = phi ptr [ null, %write ], [ %given.out, %write.given ], [ %bound.out, %write.bound ]
  %results.at = getelementptr %variant, ptr %v, i64 0, i32 13
  %y.at = getelementptr %variant, ptr %v, i64 0, i32 14
  call void @start(ptr %walk, ptr %results.at, ptr %y.at, i64 0, ptr %result.out)
  %made = call ptr @give(ptr %walk)
  store i64 0, ptr %busy
  ret ptr %made

refuse:
  store i64 0, ptr %busy
  br label %no
no:
  ret ptr inttoptr (i64 1 to ptr)
}

; Copy from or to all memory that is next in the program.
define internal void @memories(ptr %walk) nounwind {
entry:
  br label %loop
loop:
  %at = load ptr, ptr %walk
  %op = load i64, ptr %at
  %more = icmp eq i64 %op, 6
  br i1 %more, label %body, label %done
body:
  %taken = call i1 @walk(ptr %walk, ptr %walk)
  br label %loop
done:
  ret void
}

define internal void @start(ptr %walk, ptr %program, ptr %numbers, i64 %writes, ptr %out) alwaysinline nounwind {
  %program.first = load ptr, ptr %program
  store ptr %program.first, ptr %walk
  %numbers.first = load ptr, ptr %numbers
  %numbers.at = getelementptr %walk, ptr %walk, i64 0, i32 1
  store ptr %numbers.first, ptr %numbers.at
  %writes.at = getelementptr %walk, ptr %walk, i64 0, i32 2
  store i64 %writes, ptr %writes.at
  %out.at = getelementptr %walk, ptr %walk, i64 0, i32 3
  store ptr %out, ptr %out.at
  ret void
}

define internal void @run(ptr %v) alwaysinline nounwind {
  %code = getelementptr %variant, ptr %v, i64 0, i32 16
  %kernel = load ptr, ptr %code
  %sources.at = getelementptr %variant, ptr %v, i64 0, i32 17
  %sources = load ptr, ptr %sources.at
  %strides.at = getelementptr %variant, ptr %v, i64 0, i32 18
  %strides = load ptr, ptr %strides.at
  %table.at = getelementptr %variant, ptr %v, i64 0, i32 19
  %table = load ptr, ptr %table.at
  %functions.at = getelementptr %variant, ptr %v, i64 0, i32 20
  %functions = load ptr, ptr %functions.at
  %p.at = getelementptr %variant, ptr %v, i64 0, i32 7
  %p = load ptr, ptr %p.at
  %y.at = getelementptr %variant, ptr %v, i64 0, i32 14
  %y = load ptr, ptr %y.at
  %d.at = getelementptr %variant, ptr %v, i64 0, i32 21
  %d = load ptr, ptr %d.at
  %scratch.at = getelementptr %variant, ptr %v, i64 0, i32 22
  %scratch = load ptr, ptr %scratch.at
  call void %kernel(ptr %sources, ptr %strides, ptr %table, ptr %functions, ptr %p, ptr %y, ptr %d, ptr %scratch,
    i64 0, i64 1, i64 1, double 1.0)
  ret void
}

; Call the first variant that is for these arguments, or the general path.
define internal ptr @call(ptr %self, ptr %args, i64 %n, ptr %names, i64 %purpose) nounwind {
entry:
  %name = load ptr, ptr @name_of_entries
  %object = call ptr @PyObject_GetAttr(ptr %self, ptr %name)
  %missing = icmp eq ptr %object, null
  br i1 %missing, label %error, label %found
found:
  %entries = call ptr @PyByteArray_AsString(ptr %object)
  %chain.at = getelementptr ptr, ptr %entries, i64 %purpose
  %chain = load ptr, ptr %chain.at
  %unknown = icmp eq ptr %chain, null
  br i1 %unknown, label %general, label %variants
variants:
  %owner = load ptr, ptr %chain
  call void @Py_IncRef(ptr %owner)
  %count.at = getelementptr i64, ptr %chain, i64 1
  %count = load i64, ptr %count.at
  br label %loop
loop:
  %i = phi i64 [ 0, %variants ], [ %next, %refusal ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %body, label %none
body:
  %place = add i64 %i, 2
  %variant.at = getelementptr ptr, ptr %chain, i64 %place
  %variant = load ptr, ptr %variant.at
  %result = call ptr @attempt(ptr %entries, ptr %variant, ptr %args, i64 %n, ptr %names)
  %refused = icmp eq ptr %result, inttoptr (i64 1 to ptr)
  %next = add i64 %i, 1
  br i1 %refused, label %refusal, label %answer
refusal: ; an array may have said why it has no such buffer
  call void @PyErr_Clear()
  br label %loop
answer:
  call void @Py_DecRef(ptr %owner)
  call void @Py_DecRef(ptr %object)
  ret ptr %result
none:
  call void @Py_DecRef(ptr %owner)
  br label %general

general:
  %general.place = add i64 %purpose, 6
  %general.at = getelementptr ptr, ptr %entries, i64 %general.place
  %function = load ptr, ptr %general.at
  call void @Py_DecRef(ptr %object)
  %named = icmp ne ptr %names, null
  br i1 %named, label %keywords, label %gather
keywords:
  %keywords.count = call i64 @PyTuple_Size(ptr %names)
  br label %gather
gather:
  %named.count = phi i64 [ 0, %general ], [ %keywords.count, %keywords ]
  %given = add i64 %n, %named.count
  %given.bytes = mul i64 %given, 8
  %bytes = add i64 %given.bytes, 8
  %all = call ptr @PyMem_Malloc(i64 %bytes)
  %full = icmp eq ptr %all, null
  br i1 %full, label %memory, label %forward
memory:
  %ignored = call ptr @PyErr_NoMemory()
  ret ptr null
forward:
  store ptr %self, ptr %all
  %after = getelementptr ptr, ptr %all, i64 1
  %moved = call ptr @memmove(ptr %after, ptr %args, i64 %given.bytes)
  %positional = add i64 %n, 1
  %returned = call ptr @PyObject_Vectorcall(ptr %function, ptr %all, i64 %positional, ptr %names)
  call void @PyMem_Free(ptr %all)
  ret ptr %returned
error:
  ret ptr null
}

define ptr @value(ptr %self, ptr %args, i64 %n, ptr %names) nounwind {
  %result = call ptr @call(ptr %self, ptr %args, i64 %n, ptr %names, i64 0)
  ret ptr %result
}

define ptr @value_and_grad(ptr %self, ptr %args, i64 %n, ptr %names) nounwind {
  %result = call ptr @call(ptr %self, ptr %args, i64 %n, ptr %names, i64 1)
  ret ptr %result
}

define ptr @gradient(ptr %self, ptr %args, i64 %n, ptr %names) nounwind {
  %result = call ptr @call(ptr %self, ptr %args, i64 %n, ptr %names, i64 2)
  ret ptr %result
}

define ptr @jacobian(ptr %self, ptr %args, i64 %n, ptr %names) nounwind {
  %result = call ptr @call(ptr %self, ptr %args, i64 %n, ptr %names, i64 3)
  ret ptr %result
}

define ptr @hessian(ptr %self, ptr %args, i64 %n, ptr %names) nounwind {
  %result = call ptr @call(ptr %self, ptr %args, i64 %n, ptr %names, i64 4)
  ret ptr %result
}

define ptr @hvp(ptr %self, ptr %args, i64 %n, ptr %names) nounwind {
  %result = call ptr @call(ptr %self, ptr %args, i64 %n, ptr %names, i64 5)
  ret ptr %result
}
