"""The operator graph as data: its data flow, its sizes, its files."""
