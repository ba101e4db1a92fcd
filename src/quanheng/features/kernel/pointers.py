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
