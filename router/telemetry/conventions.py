"""The names of OpenTelemetry's semantic conventions that we use.

Copied, because the package keeps those for generative models in a private module; a test holds them against it.
"""

from __future__ import annotations

OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"

FEATURE_FLAG_KEY = "feature_flag.key"
FEATURE_FLAG_PROVIDER_NAME = "feature_flag.provider.name"
FEATURE_FLAG_RESULT_REASON = "feature_flag.result.reason"
FEATURE_FLAG_RESULT_VARIANT = "feature_flag.result.variant"
REASON_SPLIT = "split"

ERROR_TYPE = "error.type"
HTTP_REQUEST_METHOD = "http.request.method"
OTHER_METHOD = "_OTHER"
HTTP_RESPONSE_STATUS_CODE = "http.response.status_code"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
SERVICE_NAME = "service.name"

CHAT = "chat"
TEXT_COMPLETION = "text_completion"
EMBEDDINGS = "embeddings"
