"""Plain pointers for the kernel: arrays without their seven fields and the counting of references."""

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic


@intrinsic
def pointer(typing_context, array):
    """Pointer to the first element: one word to hand on, without the seven fields and the counting of an array."""

    def lower(context, builder, signature, arguments):
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), lower


@intrinsic
def at_address(typing_context, address):
    """Pointer to int64 words at an address."""

    def lower(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.int64)(address), lower


@intrinsic
def address(typing_context, words):
    """The address that `at_address` takes."""

    def lower(context, builder, signature, arguments):
        return builder.ptrtoint(arguments[0], ir.IntType(64))

    return types.int64(words), lower


@intrinsic
def offset(typing_context, words, at, like):
    """Pointer to words[at], with the element type of `like` (int32, int64 or uint64)."""
    result = types.CPointer(like.dtype)

    def lower(context, builder, signature, arguments):
        return builder.bitcast(builder.gep(arguments[0], [arguments[1]]), context.get_value_type(signature.return_type))

    return result(words, types.int64, like), lower


@intrinsic
def fetch(typing_context, words, at):
    """Ask for the cache line of words[at]; no effect but time."""

    def lower(context, builder, signature, arguments):
        pointer = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        name = "llvm.prefetch.p0"
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        builder.call(function, [pointer, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(words, types.int64), lower


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
        word, vector = ir.IntType(64), ir.VectorType(ir.IntType(64), EIGHT)
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
