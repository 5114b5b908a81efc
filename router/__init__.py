"""The serving process and its faces.

The data plane is `app`, `proxy`, `upstream`, `shadow`, `routes` and `journal`; the faces are `cli` and `admin`.
"""
