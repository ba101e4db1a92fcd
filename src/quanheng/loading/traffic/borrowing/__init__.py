"""Traffic of kind "borrowing": people whose hidden ability and honesty drive what is told of them, and how they pay."""
