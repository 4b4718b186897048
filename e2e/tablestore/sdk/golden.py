"""Golden vectors of the official Python SDK, for the tests of crates/tablestore.

    e2e/tablestore/sdk/run.sh python e2e/tablestore/sdk/golden.py > crates/tablestore/src/plainbuffer/golden.txt

Each line is a name and the bytes in hexadecimal, or a signature. What is encoded stands here and, once more, in
crates/tablestore/src/plainbuffer/tests.rs and in the tests of sign.rs.
"""

import base64
import hashlib

from tablestore import INF_MAX, INF_MIN
from tablestore.auth import RequestContext, SignV2, SignV4
from tablestore.credentials import Credentials
from tablestore.plainbuffer.plain_buffer_builder import PlainBufferBuilder

KEY = [("pk", "käy"), ("n", -2), ("b", bytearray(b"\x00\xff"))]
COLUMNS = [
    ("i", 9223372036854775807),
    ("d", -0.1),
    ("t", True),
    ("f", False),
    ("s", "täxt"),
    ("e", ""),
    ("x", bytearray(range(256))),
    ("v", 1, 1700000000123),
]


def show(name, content):
    print(name, content if isinstance(content, str) else bytes(content).hex())


def signatures():
    headers = {
        "x-ots-date": "2026-11-29T00:00:00.000Z",
        "x-ots-apiversion": "2015-12-31",
        "x-ots-accesskeyid": "id",
        "x-ots-instancename": "instance",
        "x-ots-contentmd5": base64.b64encode(hashlib.md5(b"body").digest()).decode(),
    }
    answer = {
        "x-ots-date": "2026-11-29T00:00:00.000Z",
        "x-ots-requestid": "request",
        "x-ots-contenttype": "protocol buffer",
    }
    signers = [
        ("v2", "x-ots-signature", SignV2("utf8")),
        ("v4", "x-ots-signaturev4", SignV4("utf8", region="cn-hangzhou", sign_date="20261129")),
    ]
    for name, header, signer in signers:
        context = RequestContext(Credentials("id", "secret"))
        sent = dict(headers)
        signer.make_request_signature_and_add_headers("/PutRow", sent, context)
        show("request_" + name, sent[header])
        show("answer_" + name, signer.make_response_signature("/PutRow", answer, signer.get_signing_key(context)))


show("key", PlainBufferBuilder.serialize_primary_key(KEY))
show("range", PlainBufferBuilder.serialize_primary_key([("pk", INF_MIN), ("n", INF_MAX)]))
show("put", PlainBufferBuilder.serialize_for_put_row(KEY, COLUMNS))
show("put_nothing", PlainBufferBuilder.serialize_for_put_row(KEY[:1], []))
show(
    "update",
    PlainBufferBuilder.serialize_for_update_row(
        KEY[1:2],
        {
            "PUT": [("a", 1), ("w", "x", 1700000000123)],
            "DELETE": [("o", None, 1700000000456)],
            "DELETE_ALL": ["g"],
        },
    ),
)
show("delete", PlainBufferBuilder.serialize_for_delete_row(KEY[1:2]))
for kind, value in [("integer", -5), ("double", 2.5), ("boolean", True), ("string", "é"), ("binary", bytearray(b"\x01"))]:
    show("variant_" + kind, PlainBufferBuilder.serialize_column_value(value))
signatures()
