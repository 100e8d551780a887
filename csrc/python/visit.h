/* SPDX-License-Identifier: MIT */
/* For what the collector asks of our types. */
#ifndef SHRINKER_PYTHON_VISIT_H
#define SHRINKER_PYTHON_VISIT_H

/* In a traverse function: visits the type, which each of its objects holds. */
#define VISIT_TYPE(object)                                           \
	do {                                                         \
		int ret = visit((PyObject *)Py_TYPE(object), arg);   \
		if (ret)                                             \
			return ret;                                  \
	} while (0)

#endif /* SHRINKER_PYTHON_VISIT_H */
