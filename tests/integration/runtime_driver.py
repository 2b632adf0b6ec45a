"""Index, load and invoke an app through azure-functions-runtime; print JSON.

python runtime_driver.py APP_FOLDER QUEUE_MESSAGE_BODY
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as runtime


class Message(SimpleNamespace):
    """A protobuf message: members by name, and the one that is set of a group."""

    Success = "Success"
    Failure = "Failure"
    inout, out, undefined = "inout", "out", "undefined"

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 (protobuf's name)
        """Return the member that is set; a binding has `data`, typed data a single member."""
        return "data" if "data" in vars(self) else next(iter(vars(self)))


class Protos:
    """The module of the worker's protobuf messages: any name is a message type."""

    BindingInfo = StatusResult = Message

    def __getattr__(self, name: str) -> type[Message]:
        return Message


def _request(kind: str, **members: Any) -> Message:
    properties = {"host": "127.0.0.1", "protos": Protos()}
    return Message(request=Message(**{kind: Message(**members)}), properties=properties)


def _invocation(function_id: str, parameter: str, data: Message, **metadata: Message) -> Message:
    return _request(
        "invocation_request",
        invocation_id=str(uuid.uuid4()),
        function_id=function_id,
        input_data=[Message(name=parameter, data=data)],
        trigger_metadata=metadata,
        trace_context=Message(trace_parent="", trace_state="", attributes={}),
        retry_context=Message(retry_count=0, max_retry_count=0, exception=None),
    )


async def drive(folder: str, body: str) -> dict[str, Any]:
    sys.path.insert(0, folder)
    request = _request("worker_init_request", capabilities={}, function_app_directory=folder)
    init = await runtime.worker_init_request(request)
    assert init.result.status == "Success", init.result.exception.message
    indexed = await runtime.functions_metadata_request(_request("functions_metadata_request"))
    functions = {one.name: one for one in indexed.function_metadata_results}
    now = datetime.now(UTC).isoformat()
    timer = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": False}
    invocations = {
        "drain_metrics": _invocation(
            functions["drain_metrics"].function_id,
            "message",
            Message(string=body),
            Id=Message(string=str(uuid.uuid4())),
            DequeueCount=Message(string="1"),
            InsertionTime=Message(json=json.dumps(now)),
            PopReceipt=Message(string="receipt"),
        ),
        "sample_sources": _invocation(
            functions["sample_sources"].function_id, "timer", Message(json=json.dumps(timer))
        ),
    }
    results = {}
    for name, invocation in invocations.items():
        load = _request("function_load_request", function_id=functions[name].function_id)
        loaded = await runtime.function_load_request(load)
        assert loaded.result.status == "Success"
        answer = await runtime.invocation_request(invocation)
        failed = answer.result.status != "Success"
        results[name] = answer.result.exception.message if failed else "Success"
    bindings = {name: json.loads(one.raw_bindings[0]) for name, one in functions.items()}
    return {"functions": bindings, "results": results}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(drive(*sys.argv[1:]))))
