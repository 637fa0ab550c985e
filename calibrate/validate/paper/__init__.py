"""The Framework Tax (Fernandez et al., EMNLP 2023), figure by figure and statement by statement.

``figures`` holds what each figure shows, a file a figure; ``description`` the words that it is said in; ``predictions``
and ``observations`` give latencies; ``drawing`` makes plots, ``page`` the page of all; ``statements`` judges what the
paper says.
"""
