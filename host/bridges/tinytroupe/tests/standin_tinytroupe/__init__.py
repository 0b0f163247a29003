"""A stand-in for TinyTroupe: the interface that the bridge uses, and the same talk with a chat completions endpoint.

It is not TinyTroupe, and proves nothing about TinyTroupe's own behaviour: see test_library.py for that.
"""
