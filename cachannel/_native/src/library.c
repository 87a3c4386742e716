/* Which libca this is. cc_epics_base is made by build_ffi.py. */

#include "engine.h"

#include <epicsVersion.h>

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

const char *cc_epics_version(void)
{
    return EPICS_VERSION_FULL;
}

/* The file that libca was loaded from. 1, or 0 if it is not known. */
int cc_library_path(char *buffer, unsigned size)
{
#if defined(_WIN32)
    HMODULE library;
    DWORD length = 0;

    if (GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS
                               | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                           (const char *)ca_context_create, &library))
        length = GetModuleFileNameA(library, buffer, size);
    return length > 0 && length < size;
#else
    Dl_info found;
    size_t length;

    /* ISO C has no way from a function to a pointer to data; POSIX has one. */
    if (!dladdr((const void *)(uintptr_t)ca_context_create, &found) || !found.dli_fname)
        return 0;
    length = strlen(found.dli_fname) + 1;
    if (length > size)
        return 0;
    memcpy(buffer, found.dli_fname, length);
    return 1;
#endif
}
