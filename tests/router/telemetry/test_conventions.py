"""Our copies of OpenTelemetry's names are OpenTelemetry's names."""

import pytest

from router.telemetry import conventions

_REASON = "needs the extra `otel`: pip install 'touchstone-router[otel]'"
gen_ai = pytest.importorskip("opentelemetry.semconv._incubating.attributes.gen_ai_attributes", reason=_REASON)
flag = pytest.importorskip("opentelemetry.semconv._incubating.attributes.feature_flag_attributes", reason=_REASON)
error = pytest.importorskip("opentelemetry.semconv.attributes.error_attributes", reason=_REASON)
http = pytest.importorskip("opentelemetry.semconv.attributes.http_attributes", reason=_REASON)
server = pytest.importorskip("opentelemetry.semconv.attributes.server_attributes", reason=_REASON)
service = pytest.importorskip("opentelemetry.semconv.attributes.service_attributes", reason=_REASON)

THEIRS = {
    "OPERATION_NAME": gen_ai.GEN_AI_OPERATION_NAME,
    "PROVIDER_NAME": gen_ai.GEN_AI_PROVIDER_NAME,
    "REQUEST_MODEL": gen_ai.GEN_AI_REQUEST_MODEL,
    "REQUEST_STREAM": gen_ai.GEN_AI_REQUEST_STREAM,
    "RESPONSE_MODEL": gen_ai.GEN_AI_RESPONSE_MODEL,
    "RESPONSE_FINISH_REASONS": gen_ai.GEN_AI_RESPONSE_FINISH_REASONS,
    "RESPONSE_TIME_TO_FIRST_CHUNK": gen_ai.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK,
    "USAGE_INPUT_TOKENS": gen_ai.GEN_AI_USAGE_INPUT_TOKENS,
    "USAGE_OUTPUT_TOKENS": gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS,
    "FEATURE_FLAG_KEY": flag.FEATURE_FLAG_KEY,
    "FEATURE_FLAG_PROVIDER_NAME": flag.FEATURE_FLAG_PROVIDER_NAME,
    "FEATURE_FLAG_RESULT_REASON": flag.FEATURE_FLAG_RESULT_REASON,
    "FEATURE_FLAG_RESULT_VARIANT": flag.FEATURE_FLAG_RESULT_VARIANT,
    "REASON_SPLIT": flag.FeatureFlagResultReasonValues.SPLIT.value,
    "ERROR_TYPE": error.ERROR_TYPE,
    "HTTP_REQUEST_METHOD": http.HTTP_REQUEST_METHOD,
    "OTHER_METHOD": http.HttpRequestMethodValues.OTHER.value,
    "HTTP_RESPONSE_STATUS_CODE": http.HTTP_RESPONSE_STATUS_CODE,
    "SERVER_ADDRESS": server.SERVER_ADDRESS,
    "SERVER_PORT": server.SERVER_PORT,
    "SERVICE_NAME": service.SERVICE_NAME,
    "CHAT": gen_ai.GenAiOperationNameValues.CHAT.value,
    "TEXT_COMPLETION": gen_ai.GenAiOperationNameValues.TEXT_COMPLETION.value,
    "EMBEDDINGS": gen_ai.GenAiOperationNameValues.EMBEDDINGS.value,
}


def test_every_name_is_the_one_of_the_package_and_none_is_left_out() -> None:
    ours = {name: value for name, value in vars(conventions).items() if name.isupper()}

    assert ours == THEIRS
