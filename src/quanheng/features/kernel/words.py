"""The layout of plan and arena, word by word: both are flat arrays of int64, so that a dump is a copy.

A plan (`P`) is read only. The arena (`A`) holds everything that changes: index, slots, rings, counting hashes. Blocks
are addressed by their word offset, never by a pointer, so an arena can grow by copying and be saved as it is.

Numbers in a row lie in [NUMBER_MIN, NUMBER_MAX]; NULL means "no value", UNKNOWN (in a vector only) means "not known
any more, or the sum does not fit": neither can be mistaken for a number.
"""

FORMAT = 2  # Raised when a dump of an earlier kernel can no longer be read.

NULL = -(2**63)
UNKNOWN = NULL + 1
OVERFLOW = NULL + 2  # Never leaves FeatureState: it becomes UNKNOWN and an error.
NUMBER_MIN = NULL + 3
NUMBER_MAX = 2**63 - 2
TIME_MAX = 2**61  # ms; 73 million years: room for adding any window without overflow.

# Plan header.
P_CODES = 0  # Number of type codes in the map.
P_MAP = 1  # Offset of the map: code -> offset of its type record, 0 = no fold reads it.
P_TABLES = 2  # Offset of the list of table records.
P_TABLES_N = 3
P_COLUMNS_N = 4
P_KEYS_N = 5  # Widest key row that an operation reads.
P_NUMBERS_N = 6
P_OPS_N = 7  # Most operations of one event type.
P_WIDTH_MAX = 8  # Most columns of a table.
P_RUN_WORDS = 9  # Words of the scratch of a run.
P_RECORD_MAX = 10  # Most words of a record.
P_ORDERED = 11  # 1: some fold reads a table under another key than it is put in by: only in log order.
P_DECAY = 12  # Offset of three tables of powers of two; 0: no fold decays.
P_ASKED = 13  # Offset of the columns that only ask the clock (kernel/clock.py, AT_...).
P_ASKED_N = 14
P_HEADER = 15

# Type record: what one event type does.
# E_BY_TABLE: offset of a list, per table the operation of this type or 0.
E_OPS_N, E_OPS, E_DECIDES, E_BY_TABLE = 0, 1, 2, 3
# Operation: one table touched by an event type. O_WHERE: offset of the condition for putting in, 0 = none.
# O_SPECIAL: bits; such an operation only reads. FOLLOWS: the one before it puts the same event into the same table,
# under another key. THROUGH: the key is the answer of a fold, which lies at O_THROUGH in the control words (else 0).
O_TABLE, O_INSERTS, O_READS, O_KEYS_N, O_KEYS, O_SPECIAL, O_THROUGH, O_WHERE, O_WORDS = 0, 1, 2, 3, 4, 5, 6, 7, 8
FOLLOWS, THROUGH = 1, 2

# Table record: one (event type, key) pair.
T_SLOT = 0  # Words of a slot.
T_STRIDE = 1  # Words of a ring row: time, then values.
T_SUMS_N = 2  # The first so many values are summed.
T_BOUNDS_N = 3
T_BOUNDS = 4  # Offset of the distances (ms behind the moment), rising.
T_KEEP = 5  # ms a ring reaches back behind the newest event of its key.
T_LATE = 6  # ms an event may be late.
T_TREES_N = 7
T_TREES = 8  # Offset of (value, flip) pairs: running extremes kept over blocks of the ring.
T_SETS_N = 9
T_SETS = 10  # Offset of the structures over windows (M_...).
T_WINDOWS_N = 11
T_WINDOWS = 12  # Offset of windows.
T_BASE_ON = 13  # 1: some window is all history, so what leaves the ring is folded into the base.
T_VALUES_N = 14
T_VALUES = 15  # Offset of value sources: >= 0 a number, < 0 half of a key.
T_STATE = 16  # Offset in the arena of what changes about the table.
T_KEEP_ROWS = 17  # Rows that a ring keeps beyond those it keeps for their time.
T_BASE_AT = 18  # Offset in a slot.
T_BOUND_WORDS = 19
T_WIDTH = 20  # Columns of the table.
T_PLAIN = 21  # 1: only counts, sums and means, so that a run of events can be folded at once.
T_OUTS = 22  # Offset of the numbers of its columns in a vector.
T_FOLDS_N = 23
T_FOLDS = 24  # Offset of the numbers of its folds.
T_FIRSTS = 25  # Offset of the first column of each within the table.
T_RECORD = 26  # Words of a record: a pair, and behind it the row it puts in where the table is plain.
T_TIMED_N = 27  # The first so many boundaries are distances (T_BOUNDS); the others are edges.
T_EDGES_N = 28
T_EDGES = 29  # Offset of the edges (Q_...).
T_BASE_FIRST = 30  # Offset in a slot of the first row ever let go; 0: none is kept.
T_AGES_N = 31
T_AGES = 32  # Offset of the folds with a largest age (J_...).
T_MARKS_N = 33
T_MARKS = 34  # Offset of marks: sums of more than values, at some boundaries.
T_WORDS = 35

# Structure: what is kept about the values between two boundaries: counting hash, sketch, registers. M_LOW: number of
# the low bound, -1 = all history. M_PLACE, M_VALUE_WORDS: the value in a row. M_AT: offset in a slot. M_ARGUMENT:
# offset of its table in the plan; of a bounded one, how many distinct values it holds exactly.
M_LOW, M_HIGH, M_PLACE, M_VALUE_WORDS, M_KIND, M_AT, M_ARGUMENT, M_WORDS = 0, 1, 2, 3, 4, 5, 6, 7
# Kinds: a counting hash is 0 and bits for what it keeps beside the counts.
HASH_TOP, HASH_ENTROPY, SKETCH, BOUNDED = 1, 2, 4, 8
MILLIONTHS = 1_000_000  # A quantile is so many of them.
LOGARITHMS = 2048  # Logarithms of a table of an entropy.
# Table of a sketch: buckets, values up to which each is a bucket of its own; then edges and answers from bucket 0 on.
BUCKETS_N, BUCKETS_ALONE, BUCKETS = 0, 1, 2
MAXIMUM, MINIMUM, BREAKS = 0, 1, 2  # Kinds of trees over a ring (`flip`).

# Window: a span between two boundaries, and the columns read over it. Boundaries by their offset in a slot; low 0 = all
# history. W_WITHOUT: the event being decided is left out.
W_LOW, W_HIGH, W_WITHOUT, W_COLUMNS_N, W_COLUMNS, W_WORDS = 0, 1, 2, 3, 4, 5
# Column operation. C_OUT: number of the column in a vector, C_PLACE: within the table. C_ARG: offset of the sum in a
# boundary, number of the tree or counting hash, or place in a row. C_FOLD: number of the fold, C_FLOAT: in the table.
C_KIND, C_OUT, C_ARG, C_PLACE, C_FOLD, C_FLOAT, C_WORDS = 0, 1, 2, 3, 4, 5, 6
COUNT, SUM, MEAN, EXTREME, DISTINCT, LAST, LAST_KEY, SINCE = 0, 1, 2, 3, 4, 5, 6, 7
FIRST, NTH_LAST, FIRST_TIME, LAST_TIME, SINCE_FIRST, SEEN, LAST_THROUGH, RANGE = 10, 11, 12, 13, 14, 15, 16, 17
# What C_ARG of these points to in the plan: place in a row, which from the last, whether it is a key, and where in the
# control words the whole key goes, with 0 (none), 1 (there) or 2 (not known) behind it. RANGE: numbers of two trees.
L_PLACE, L_NTH, L_KEY, L_THROUGH, L_WORDS = 0, 1, 2, 3, 4
# Edge: a low boundary (windows.Edge). Q_AT, Q_HIGH: offsets in a slot of itself and its high boundary. -1 = none, but
# Q_LAST: 0. Q_SESSION: offset in a slot of the start of the session, and of the position up to which it is known.
Q_AT, Q_HIGH, Q_DELAY, Q_WINDOW, Q_UNIT, Q_ZONE, Q_LAST, Q_GAP, Q_WITHOUT, Q_SESSION = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
Q_WORDS = 10
# Fold with a largest age: boundaries as of a window, ms, its columns (in a vector, within the table) and their number,
# and where in the control words its whole key goes (0: nowhere).
J_LOW, J_HIGH, J_WITHOUT, J_AGE, J_OUT, J_PLACE, J_PARTS, J_THROUGH, J_WORDS = 0, 1, 2, 3, 4, 5, 6, 7, 8
# The difference of a window to the one before it; then those that read marks, up to DECAYED_MEAN.
CHANGE, VARIANCE, STDDEV, SKEW, ZSCORE, TREND, DECAYED, DECAYED_MEAN = 20, 21, 22, 23, 24, 25, 26, 27
# Columns from TOP on are read by `read_structure`.
TOP, TOP_SHARE, ENTROPY, PERCENTILE, ESTIMATE, STREAK, DISTANCE, SPEED = 40, 41, 42, 43, 44, 45, 46, 47

# Arena header.
A_USED = 0
A_NEED = 1  # Words of the block that did not fit, when the kernel asks for growth.
A_SIZE = 2  # Words of the whole arena.
A_FREE_REGISTERS = 7  # Head of the free list of register blocks.
A_FREE_SETS = 8  # Heads of the free lists of hash blocks: by words an entry (2 to 4), then by log2 of entries.
SIZES = 44  # Most doublings of one block.
A_FREE_INDEX = A_FREE_SETS + 3 * SIZES  # The same for blocks of an index.
A_TABLES = A_FREE_INDEX + SIZES

# What changes about a table (in the arena).
# S_STAMP: how many chunks of large groups it has seen.
S_INDEX, S_MASK, S_SLOTS_N, S_FREE_SLOT, S_TOO_LATE, S_STAMP, S_FREE_RINGS = 0, 1, 2, 3, 4, 5, 8
S_WORDS = S_FREE_RINGS + SIZES

# Slot: one key of one table. K_MOMENT: the moment its boundaries stand at.
K_0, K_1, K_RING, K_CAPACITY, K_HEAD, K_TAIL, K_NEWEST, K_MOMENT, K_BOUNDS = 0, 1, 2, 3, 4, 5, 6, 7, 8
# Boundary: pointer, then (low limb, high limb << 32 | nulls) per summed value.
I_SLOT, I_LOCAL, I_WORDS = 2, 3, 4  # Entry of an index: key (2), slot, stamp and number of the key in a chunk.
I_NUMBER = 24  # Bits of that number.
# Structure of a slot: positions it holds, block, room and use of it; and, of those that are more than a counting hash,
# how many values it holds, and the sum of an entropy in two limbs.
D_LOW, D_HIGH, D_BLOCK, D_ENTRIES, D_USED, D_WORDS = 0, 1, 2, 3, 4, 5
D_TOTAL, D_SUM, D_SUM_HIGH = 5, 6, 7
# Of a bounded one: distinct values let go, registers, and a second counting hash, of the codes of kept rows.
D_GONE, D_REGISTERS, D_CODES = 5, 6, 7
R_HISTOGRAM, R_SEEN, R_GONE, R_WORDS = 0, 64, 64 + 512, 64 + 1024  # Block of registers: 2 x 4096 bytes in words.

# Control words of a call.
X_EVENT, X_OP, X_STAGE, X_OWN, X_READ, X_ROW, X_COLUMN, X_PEEK = 0, 1, 2, 3, 4, 5, 6, 7
X_UNDO, X_BAD, X_OVERFLOWS = 8, 9, 10
X_SOURCE = 11
X_KEY_1, X_KEY_2, X_SLOT = 12, 13, 14  # What one step hands to the next.
X_EVENTS_N, X_KEYS_N, X_NUMBERS_N, X_PRESENT = 15, 16, 17, 35
X_CHUNK, X_TABLE, X_PAIRS_N, X_PAIR, X_KEY = 20, 21, 22, 23, 36  # Where a large group stands.
X_CHECKED = 24
X_PLAN, X_ARENA, X_CODE, X_TIME, X_KEYS, X_NUMBERS, X_OUT = 25, 26, 27, 28, 29, 30, 31  # The call for one event.
X_PLACE, X_STEP = 18, 19  # Which word of a column operation says where it is written, and words between columns.
X_FLOATS = 32  # 1: a large group is written as floats.
# Of a large group: room of the scratch in events; pairs to be done one by one; words of a row in key order.
X_SIZE, X_ALONE, X_WIDTH = 33, 34, 37
# Addresses of the type codes and numbers of the call, and the event that is read: for folds that look at its own value.
X_CODES_AT, X_NUMBERS_AT, X_DECIDED = 44, 45, 46
# Address of the flags of the call's events (features/flags.py), a byte each, and how many an event has.
X_FLAGS_AT, X_FLAGS_N = 40, 41
X_KEYS_AT = 42  # Address of the keys of the call.
# Tables that a call works on in a large group: the first, and steps between them.
X_TABLE_FIRST, X_TABLE_STEP = 38, 39
X_WORDS = 48
# Behind the control words, per event looked ahead at and operation: hash, first and second half of the key, slot.
Y_HASH, Y_KEY_1, Y_KEY_2, Y_SLOT, Y_WORDS = 0, 1, 2, 3, 4
LIMBS = 64  # Words behind them that answers are combined in.
READ_NONE, READ_ALL, READ_MASK = 0, 1, 2
DONE, GROW, BAD_TIME, BAD_NUMBER = 0, 1, 2, 3
U_WORDS = 4  # Undo row: table, slot, position, newest before (NULL: the slot is new).

CHUNK = 1 << 18  # Events of a large group that are sorted by key at once.
# Pair: slot / 8, event within the chunk, whether it is read, whether it is put in.
PAIR_SLOT, PAIR_EVENT, PAIR_READ, PAIR_INSERT = 24, 2, 2, 1  # Shift, shift, bit, bit.
EMPTY_ROW, UNREAD_ROW, ROWS_FIRST = 0, 1, 2  # Rows in key order: of a key never seen, of no vector, of the first pair.
RUN = 64  # Most pairs of a run.
RUN_ROOM = 16  # Rows of free room a ring is given for a run.
PASSED = 256  # Most rows that pass a boundary within a run.
SMALL = 1 << 47  # Numbers below it, PASSED times, fit one word whatever the window held before.
LANES = 4  # Boundaries that are counted side by side.
# Scratch of a run: moments, rows known, whether the event is put in, zeros, then what a window holds: rows, numbers and
# their sum; per lane the times of the rows that pass its boundary; sums of those of one; what is noted of the lanes;
# places of idle ones; then per boundary its places and, per summed value, its sums and nulls.
G_TIME, G_KNOWN, G_OWN, G_ZEROS, G_HELD, G_COUNT, G_TOTAL = 0, RUN, 2 * RUN, 3 * RUN, 4 * RUN, 5 * RUN, 6 * RUN
G_PASSED = 7 * RUN
G_LANE = PASSED + 8
G_SUMS = G_PASSED + LANES * G_LANE
G_LANES = G_SUMS + PASSED + 8
G_SPARE = G_LANES + 4 * LANES
G_BOUNDS = G_SPARE + RUN
LARGE = 4096  # Events from which a group is large.
AHEAD = 32  # Events whose slots are remembered between looking ahead and being handled; a power of two.
BRANCH = 16  # Children of a node of the block summaries.
RING_FIRST = 4  # Rows of a new ring.

# Mark: offsets in a slot of its boundary and of itself, its accumulators, its words. In a slot: pointer, accumulators.
N_BOUND, N_AT, N_ACCUMULATORS_N, N_ACCUMULATORS, N_SIZE, N_WORDS = 0, 1, 2, 3, 4, 5
# Accumulator: kind, place of its value in a row (-1: none), offset in a slot, what of its kind it holds, half-life.
H_KIND, H_PLACE, H_AT, H_LEVEL, H_HALF_LIFE, H_WORDS = 0, 1, 2, 3, 4, 5
H_POWERS, H_TREND, H_DECAY = 0, 1, 2
H_SUMS, H_ONES = 1, 2  # Levels of a decay: weights times values, weights alone.
# What a column that reads marks needs: offsets in a slot of its accumulators, and of a low one that stands further back
# or not (0: none) with the pointers of both marks; the accumulator (for what is common); 10^decimals of the answer;
# then what the kind needs: ms behind the moment, unit of time, list of event types.
Z_HIGH, Z_LOW, Z_NEAR, Z_LOW_AT, Z_NEAR_AT, Z_ACCUMULATOR, Z_UNIT, Z_MORE, Z_WORDS = 0, 1, 2, 3, 4, 5, 6, 7, 8
# Of an event type with a field whose own value is asked for: its code (-1: end of the list), which number of it, and
# factors that bring the own value and the others to one scale.
V_CODE, V_NUMBER, V_OWN, V_OTHERS, V_WORDS = 0, 1, 2, 3, 4

# Block that hangs on a slot: offset in the slot of the word that points to it, its words, the head of its free list.
B_POINTER, B_SIZE, B_FREE, B_WORDS = 0, 1, 2, 3
# Absent key: number of the table, the key; whether it would be touched is the same for a whole call.
ABSENT_TABLE, ABSENT_KEY_1, ABSENT_KEY_2, ABSENT_WORDS = 0, 1, 2, 3
