"""Calendars of days off that come with Quanheng, in the form in which packs declare theirs."""
