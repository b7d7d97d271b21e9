"""Every stage at 10^4, 10^5, 10^6 items, and the parts that must bear more at 10^7: time, memory, disk, requests."""
