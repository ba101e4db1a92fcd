"""Words of zones, calendars and conditions in a plan; no numba here, so that declarations may be checked without it."""

# What is asked of a moment.
HOUR, WEEKDAY, MONTH_DAY, MONTH, WEEKEND, NIGHT, HOLIDAY, WORKDAY = 0, 1, 2, 3, 4, 5, 6, 7
NIGHT_FROM, NIGHT_TO = 22, 6  # Hours [22, 24) and [0, 6).
DAYS_IN_WORD = 31  # Codes of the days of a calendar (quanheng/kernel/calendars.py), 2 bits each.

# A clock: offset of its zone, offset of its calendar or 0, weekend days as bits (Monday the lowest).
CLOCK_ZONE, CLOCK_DAYS, CLOCK_WEEKEND, CLOCK_WORDS = 0, 1, 2, 3

# A condition: number of instructions, then the instructions, each an operation and two arguments. They work on a stack
# of int64, on which a boolean is 0 or 1 and null is NULL.
I_OP, I_FIRST, I_SECOND, INSTRUCTION_WORDS = 0, 1, 2, 3
STACK_MAX = 64
# PUSH value; FIELD column; CLOCK what is asked, offset of the clock; TIMES power of ten (null where it does not fit);
# comparisons of the two on top, the first of which is multiplied by 10**argument (or the second, by 10**-argument).
PUSH, FIELD, ASK, TIMES, ADD, SUBTRACT, MULTIPLY, NEGATE, AND, OR, NOT = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
EQUAL, DIFFERENT, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL = 11, 12, 13, 14, 15, 16
# The event's flag of that number, which FEEL has found before (features/flags.py); whether its keys in two columns are
# equal, where -1 stands for null.
FLAG, SAME = 17, 18

# Columns that only ask the clock: number of the raw column, of the fold, type code of the event, what is asked, clock.
AT_COLUMN, AT_FOLD, AT_CODE, AT_ASKED, AT_CLOCK, AT_WORDS = 0, 1, 2, 3, 4, 5
