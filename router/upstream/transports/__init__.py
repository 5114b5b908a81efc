"""How a request reaches one endpoint: the seam between `router.upstream.upstream` and the network.

    base             what a transport and an answer are
    http1            HTTP/1.1 in the clear, on a keep-alive pool of our own: what model traffic takes
    aiohttp_client   aiohttp's client: TLS, and on request all the rest

Every transport raises `router.errors.UpstreamError`, and nothing else, for what a backend or a network does.
"""
