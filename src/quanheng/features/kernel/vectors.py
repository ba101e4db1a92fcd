"""Eight words at a time, said as such.

Where a loop over one array cannot show that what it reads and what it writes lie apart, the compiler tests that at each
start of the loop; runs are short, so that the tests cost as much as the work.
"""

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

_WORD, _WORDS, _FLOATS = ir.IntType(64), ir.VectorType(ir.IntType(64), 8), ir.VectorType(ir.DoubleType(), 8)
EIGHT = 8  # Words of a cache line, and rows that are turned at once.
# How two vectors are mixed at each step of turning eight rows of eight words into columns.
_STEPS = (
    ((0, 8, 2, 10, 4, 12, 6, 14), (1, 9, 3, 11, 5, 13, 7, 15)),
    ((0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15)),
    ((0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15)),
)


def _turned(builder, rows):
    """Eight vectors, row by row, to eight vectors, column by column."""
    for step, masks in enumerate(_STEPS):
        far, mixed = 1 << step, list(rows)
        for at in range(EIGHT):
            if at & far == 0:
                for half, mask in enumerate(masks):
                    pattern = ir.Constant(ir.VectorType(ir.IntType(32), EIGHT), list(mask))
                    mixed[at + half * far] = builder.shuffle_vector(rows[at], rows[at + far], pattern)
        rows = mixed
    return rows


@intrinsic
def eight_to_columns(typing_context, rows, places, own, columns_n, out, outs, at, column):
    """Eight rows from words `own` on, each at its place in `rows`, to the columns of `out` whose numbers `outs` holds.

    Each column gets a whole cache line, which is written past the caches: nobody reads it soon. `out` + `at` is the
    start of a line, as is each column; behind each row eight words may be read.
    """

    def lower(context, builder, signature, arguments):
        rows, places, own, columns_n, out, outs, at, column = arguments
        word, vector = _WORD, _WORDS
        taken = []
        for number in range(EIGHT):
            place = builder.sext(builder.load(builder.gep(places, [word(number)])), word)
            source = builder.bitcast(builder.gep(rows, [builder.add(place, own)]), vector.as_pointer())
            taken.append(builder.load(source, align=8))
        past = builder.module.add_metadata([ir.IntType(32)(1)])
        for number, values in enumerate(_turned(builder, taken)):
            with builder.if_then(builder.icmp_signed(">", columns_n, builder.add(own, word(number)))):
                chosen = builder.load(builder.gep(outs, [builder.add(own, word(number))]))
                target = builder.gep(out, [builder.add(at, builder.mul(chosen, column))])
                store = builder.store(values, builder.bitcast(target, vector.as_pointer()), align=64)
                store.set_metadata("nontemporal", past)
        return context.get_dummy_value()

    numbers = types.int64
    return types.void(rows, places, numbers, numbers, out, outs, numbers, numbers), lower


@intrinsic
def settle(typing_context):
    """What was written past the caches is seen by all threads from here on."""

    def lower(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), lower


def _same(builder, value):
    """Eight times one value."""
    vector = ir.VectorType(value.type, EIGHT)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.IntType(32)(0))
    pattern = ir.Constant(ir.VectorType(ir.IntType(32), EIGHT), [0] * EIGHT)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), pattern)


def _load(builder, words, at):
    return builder.load(builder.bitcast(builder.gep(words, [at]), _WORDS.as_pointer()), align=8)


def _difference(builder, words, held, high, low):
    more = builder.sub(_load(builder, words, high), _load(builder, words, low))
    return builder.add(_same(builder, held), more)


def _write(builder, words, target, number, none, empty):
    """Floats to words, and `empty` where there is nothing."""
    chosen = builder.select(none, _same(builder, empty), number)
    builder.store(chosen, builder.bitcast(builder.gep(words, [target]), _FLOATS.as_pointer()), align=8)


_INT = types.int64
_ZEROS = ir.Constant(_WORDS, [0] * EIGHT)


@intrinsic
def eight_counts(typing_context, G, target, known, high, low, empty):
    """Counts of a window at eight moments as floats: `known` and the difference of G from `high` and `low` on."""

    def lower(context, builder, signature, arguments):
        words, target, known, high, low, empty = arguments
        count = _difference(builder, words, known, high, low)
        _write(builder, words, target, builder.sitofp(count, _FLOATS), builder.icmp_signed("==", count, _ZEROS), empty)
        return context.get_dummy_value()

    return types.void(G, _INT, _INT, _INT, _INT, types.float64), lower


def _eight_sums(mean, scaled):
    @intrinsic
    def eight(typing_context, G, target, held, sums, less, known, high, low, nulls, less_nulls, divisor, empty):
        def lower(context, builder, signature, arguments):
            words, target, held, sums, less, known, high, low, nulls, less_nulls, divisor, empty = arguments
            count = _difference(builder, words, known, high, low)
            without = builder.sub(_load(builder, words, nulls), _load(builder, words, less_nulls))
            count = builder.sub(count, without)
            number = builder.sitofp(_difference(builder, words, held, sums, less), _FLOATS)
            if scaled:
                number = builder.fdiv(number, _same(builder, divisor))
            if mean:
                number = builder.fdiv(number, builder.sitofp(count, _FLOATS))
            _write(builder, words, target, number, builder.icmp_signed("==", count, _ZEROS), empty)
            return context.get_dummy_value()

        return types.void(G, *[_INT] * 9, types.float64, types.float64), lower

    return eight


# Sums or means of a window at eight moments as floats: `held` and the difference from `sums` and `less` on; `empty`
# where nothing is in it, by `known` and the difference from `high` and `low` on, less that from `nulls` and
# `less_nulls` on.
eight_sums, eight_scaled_sums = _eight_sums(False, False), _eight_sums(False, True)
eight_means, eight_scaled_means = _eight_sums(True, False), _eight_sums(True, True)
