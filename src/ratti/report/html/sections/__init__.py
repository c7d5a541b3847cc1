"""The parts of a page, one file each: functions from a run's JSON to markup, empty where there is nothing to show."""
