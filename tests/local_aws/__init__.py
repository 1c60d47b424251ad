"""The offline AWS: moto with executors behind it.

`python -m tests.local_aws --help` is the way in; `environment.LocalAWS` is the same for Python.
"""
