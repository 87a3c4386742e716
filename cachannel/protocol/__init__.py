"""Channel Access as data: enumerations, DBR layouts, messages, circuit state.

Nothing here does I/O, starts a thread, looks at a clock or needs libca. The submodules are:

- `enums`: the numbers of Channel Access under the CaChannel family's names
- `channel_types`, `status_codes`: the same numbers under the names that IOC code uses
- `dbr`: the layouts of all request types, in both byte orders; `dbr_types`: as structures
- `messages`, `broadcast`: what travels on circuits and by UDP
- `filters`: names with fields and filters
- `settings`, `timestamp`, `errors`, `constants`
"""
