"""The short way of an ordinary request: from the client's bytes to the backend's and back, by plain calls.

    receiving -> planned -> asked -> answering -> complete
        |           |         |          |
        |           |         |          +--> broken off    (the backend failed inside its answer; the client left)
        +-----------+---------+-------------> handed over   (to `router.exchange`, over ASGI, as if it had begun there)

What is ordinary: a POST of a known, small length, on an idle connection, to an endpoint in the clear to which a kept
connection is free. Everything else (no connection yet, a failure before the first byte and what follows from it, a
cached answer, a traced exchange, a request that nothing matches) is handed over, with what is known by then. There is
one implementation of each of these, and it is not here.

    entry      which requests, and what they need of the proxy
    exchange   one of them: the states above
    heads      the answer's head as bytes
"""
