"""What a loan is expected to lose, the rate that earns its capital, limits over segments, and concentrations."""
