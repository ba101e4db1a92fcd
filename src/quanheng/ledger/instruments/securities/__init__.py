"""Securities and asset tokens: subscription, allotment, transfer, coupons and dividends, redemption, register."""
