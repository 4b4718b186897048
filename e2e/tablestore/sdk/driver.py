"""The official Python SDK, driven by lines: driver.py ENDPOINT [v4]. One command a line, one answer a line.

    create TABLE NAME:TYPE,... TTL VERSIONS DEVIATION     put TABLE KEY CELLS CONDITION        get TABLE KEY
    describe TABLE                                       update TABLE KEY EDITS CONDITION     batch TABLE CHANGE;...
    list                                                 delete TABLE KEY CONDITION           batch-get TABLE KEY;...
    update-table TABLE TTL VERSIONS                      range TABLE FROM TO DIRECTION LIMIT
    delete-table TABLE

    value: i:NUMBER  d:BITS  b:0|1  s:HEX  x:HEX  min  max        cells: NAME=VALUE,...  or -
    edit: +NAME=VALUE or ~NAME for one that is deleted           condition: ignore|exist|absent[/NAME/COMPARATOR/VALUE]
    change, with _ for blanks: put_KEY_CELLS_CONDITION and so on

Answers are `ok`, with rows as KEY|CELLS;... where a command reads, or `error CODE`. Sdk.java and go/main.go speak
the same.
"""

import logging
import struct
import sys

import tablestore as ots

TYPES = {"integer": "INTEGER", "string": "STRING", "binary": "BINARY"}
EXISTENCE = {
    "ignore": ots.RowExistenceExpectation.IGNORE,
    "exist": ots.RowExistenceExpectation.EXPECT_EXIST,
    "absent": ots.RowExistenceExpectation.EXPECT_NOT_EXIST,
}
COMPARATORS = {
    "eq": ots.ComparatorType.EQUAL,
    "ne": ots.ComparatorType.NOT_EQUAL,
    "gt": ots.ComparatorType.GREATER_THAN,
    "ge": ots.ComparatorType.GREATER_EQUAL,
    "lt": ots.ComparatorType.LESS_THAN,
    "le": ots.ComparatorType.LESS_EQUAL,
}


def value(token):
    if token == "min":
        return ots.INF_MIN
    if token == "max":
        return ots.INF_MAX
    kind, text = token.split(":", 1)
    if kind == "i":
        return int(text)
    if kind == "d":
        return struct.unpack(">d", bytes.fromhex(text))[0]
    if kind == "b":
        return text == "1"
    if kind == "s":
        return bytes.fromhex(text).decode()
    return bytearray.fromhex(text)


def token(content):
    if isinstance(content, bool):
        return "b:%d" % content
    if isinstance(content, int):
        return "i:%d" % content
    if isinstance(content, float):
        return "d:" + struct.pack(">d", content).hex()
    if isinstance(content, str):
        return "s:" + content.encode().hex()
    return "x:" + bytes(content).hex()


def cells(text):
    return [] if text == "-" else [(name, value(of)) for name, of in (cell.split("=", 1) for cell in text.split(","))]


def edits(text):
    """The SDK takes edits by kind, so the order of kinds is the one in which they first come."""
    by_kind = {}
    for edit in text.split(","):
        if edit[0] == "+":
            name, of = edit[1:].split("=", 1)
            by_kind.setdefault("PUT", []).append((name, value(of)))
        else:
            by_kind.setdefault("DELETE_ALL", []).append(edit[1:])
    return by_kind


def condition(text):
    existence, *column = text.split("/")
    if not column:
        return ots.Condition(EXISTENCE[existence])
    name, comparator, of = column
    compare = ots.SingleColumnCondition(name, value(of), COMPARATORS[comparator], pass_if_missing=False)
    return ots.Condition(EXISTENCE[existence], compare)


def show(row):
    if row is None:
        return "none"
    columns = ",".join("%s=%s" % (name, token(of)) for name, of, _ in row.attribute_columns or [])
    return ",".join("%s=%s" % (name, token(of)) for name, of in row.primary_key) + "|" + (columns or "-")


def item(text):
    kind, *rest = text.split("_")
    if kind == "delete":
        return ots.DeleteRowItem(ots.Row(cells(rest[0])), condition(rest[1]))
    if kind == "put":
        return ots.PutRowItem(ots.Row(cells(rest[0]), cells(rest[1])), condition(rest[2]))
    return ots.UpdateRowItem(ots.Row(cells(rest[0]), edits(rest[1])), condition(rest[2]))


def read_range(client, table, start, end, direction, limit):
    rows, start = [], cells(start)
    while start is not None:
        _, start, page, _ = client.get_range(table, direction.upper(), start, cells(end), limit=int(limit))
        rows += page
    return ";".join(map(show, rows)) or "-"


def batch(client, table, changes):
    request = ots.BatchWriteRowRequest()
    items = [item(change) for change in changes.split(";")]
    request.add(ots.TableInBatchWriteRowItem(table, items))
    response = client.batch_write_row(request)
    answered = response.get_put() + response.get_update() + response.get_delete()
    rows = sum((list(part) for part in answered), [])
    if len(rows) != len(items):
        return "%d of %d rows" % (len(rows), len(items))
    refused = sorted((row.index, row.error_code) for row in rows if not row.is_ok)
    return ",".join("%d:%s" % row for row in refused) or "all"


def batch_get(client, table, keys):
    request = ots.BatchGetRowRequest()
    request.add(ots.TableInBatchGetRowItem(table, [cells(key) for key in keys.split(";")], max_version=1))
    found = client.batch_get_row(request).get_result_by_table(table)
    return ";".join(show(one.row if one.row and one.row.primary_key else None) for one in found)


def perform(client, command, arguments):
    table = arguments[0] if arguments else None
    if command == "create":
        key = [(name, TYPES[kind]) for name, kind in (column.split(":") for column in arguments[1].split(","))]
        options = ots.TableOptions(*map(int, arguments[2:5]))
        client.create_table(ots.TableMeta(table, key), options, ots.ReservedThroughput(ots.CapacityUnit(0, 0)))
    elif command == "describe":
        described = client.describe_table(table)
        key = ",".join("%s:%s" % (name, kind.lower()) for name, kind in described.table_meta.schema_of_primary_key)
        options = described.table_options
        return "%s %d %d %d" % (key, options.time_to_live, options.max_version, options.max_time_deviation)
    elif command == "list":
        return ",".join(client.list_table()) or "-"
    elif command == "update-table":
        options = ots.TableOptions(int(arguments[1]), int(arguments[2]), None)
        return "%d" % client.update_table(table, options).table_options.max_version
    elif command == "delete-table":
        client.delete_table(table)
    elif command == "put":
        client.put_row(table, ots.Row(cells(arguments[1]), cells(arguments[2])), condition(arguments[3]))
    elif command == "update":
        client.update_row(table, ots.Row(cells(arguments[1]), edits(arguments[2])), condition(arguments[3]))
    elif command == "delete":
        client.delete_row(table, ots.Row(cells(arguments[1])), condition(arguments[2]))
    elif command == "get":
        return show(client.get_row(table, cells(arguments[1]))[1])
    elif command == "batch":
        return batch(client, table, arguments[1])
    elif command == "batch-get":
        return batch_get(client, table, arguments[1])
    elif command == "range":
        return read_range(client, *arguments)
    else:
        raise ValueError(command)
    return ""


def main():
    options = {"region": "cn-hangzhou"} if sys.argv[2:] == ["v4"] else {}
    client = ots.OTSClient(sys.argv[1], "test-id", "test-secret", "instance", **options)
    # What is refused is answered, not logged.
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        command, *arguments = line.split()
        try:
            print("ok", perform(client, command, arguments), flush=True)
        except ots.OTSServiceError as refused:
            print("error", refused.code, flush=True)
        except ots.OTSClientError as refused:
            print("error", "client:", str(refused).replace("\n", " "), flush=True)


main()
