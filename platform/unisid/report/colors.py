"""The colours of the charts."""

INK = "#1b2431"
"""Of text and axes."""
PALETTE = ("#1f9e89", "#e3913a", "#6b7fd7", "#c9506b", "#8aa345", "#a066c2", "#3fa7d6", "#b08b57", "#d977a8", "#5d8a66")
REST = "#98a2b3"
"""Of what is not in focus."""
