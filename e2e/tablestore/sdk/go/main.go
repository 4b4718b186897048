// The official Go SDK, driven by lines: sdk ENDPOINT. ../driver.py says which commands there are.
package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	ots "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

var types = map[string]ots.PrimaryKeyType{
	"integer": ots.PrimaryKeyType_INTEGER, "string": ots.PrimaryKeyType_STRING, "binary": ots.PrimaryKeyType_BINARY,
}

var existence = map[string]ots.RowExistenceExpectation{
	"ignore": ots.RowExistenceExpectation_IGNORE,
	"exist":  ots.RowExistenceExpectation_EXPECT_EXIST,
	"absent": ots.RowExistenceExpectation_EXPECT_NOT_EXIST,
}

var comparators = map[string]ots.ComparatorType{
	"eq": ots.CT_EQUAL, "ne": ots.CT_NOT_EQUAL, "gt": ots.CT_GREATER_THAN,
	"ge": ots.CT_GREATER_EQUAL, "lt": ots.CT_LESS_THAN, "le": ots.CT_LESS_EQUAL,
}

// must ends the program: a driver that is not understood has nothing to say.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func value(token string) interface{} {
	kind, text, _ := strings.Cut(token, ":")
	switch kind {
	case "i":
		return must(strconv.ParseInt(text, 10, 64))
	case "d":
		return math.Float64frombits(must(strconv.ParseUint(text, 16, 64)))
	case "b":
		return text == "1"
	case "s":
		return string(must(hex.DecodeString(text)))
	default:
		return must(hex.DecodeString(text))
	}
}

func token(value interface{}) string {
	switch of := value.(type) {
	case int64:
		return fmt.Sprintf("i:%d", of)
	case float64:
		return fmt.Sprintf("d:%016x", math.Float64bits(of))
	case bool:
		if of {
			return "b:1"
		}
		return "b:0"
	case string:
		return "s:" + hex.EncodeToString([]byte(of))
	case []byte:
		return "x:" + hex.EncodeToString(of)
	default:
		panic(fmt.Sprintf("a value of type %T", value))
	}
}

func key(text string) *ots.PrimaryKey {
	key := new(ots.PrimaryKey)
	for _, column := range strings.Split(text, ",") {
		name, of, _ := strings.Cut(column, "=")
		switch of {
		case "min":
			key.AddPrimaryKeyColumnWithMinValue(name)
		case "max":
			key.AddPrimaryKeyColumnWithMaxValue(name)
		default:
			key.AddPrimaryKeyColumn(name, value(of))
		}
	}
	return key
}

func condition(text string) (ots.RowExistenceExpectation, ots.ColumnFilter) {
	parts := strings.Split(text, "/")
	if len(parts) == 1 {
		return existence[parts[0]], nil
	}
	column := ots.NewSingleColumnCondition(parts[1], comparators[parts[2]], value(parts[3]))
	column.FilterIfMissing = true
	column.LatestVersionOnly = true
	return existence[parts[0]], column
}

// change reads a change from its operation and the words after the table.
func change(table, operation string, words []string) ots.RowChange {
	expected, column := condition(words[len(words)-1])
	switch operation {
	case "put":
		put := &ots.PutRowChange{TableName: table, PrimaryKey: key(words[0])}
		if words[1] != "-" {
			for _, cell := range strings.Split(words[1], ",") {
				name, of, _ := strings.Cut(cell, "=")
				put.AddColumn(name, value(of))
			}
		}
		put.SetCondition(expected)
		if column != nil {
			put.SetColumnCondition(column)
		}
		return put
	case "update":
		update := &ots.UpdateRowChange{TableName: table, PrimaryKey: key(words[0])}
		for _, edit := range strings.Split(words[1], ",") {
			if edit[0] == '+' {
				name, of, _ := strings.Cut(edit[1:], "=")
				update.PutColumn(name, value(of))
			} else {
				update.DeleteColumn(edit[1:])
			}
		}
		update.SetCondition(expected)
		if column != nil {
			update.SetColumnCondition(column)
		}
		return update
	default:
		remove := &ots.DeleteRowChange{TableName: table, PrimaryKey: key(words[0])}
		remove.SetCondition(expected)
		if column != nil {
			remove.SetColumnCondition(column)
		}
		return remove
	}
}

func show(key *ots.PrimaryKey, columns []*ots.AttributeColumn) string {
	if len(key.PrimaryKeys) == 0 {
		return "none"
	}
	var parts, cells []string
	for _, column := range key.PrimaryKeys {
		parts = append(parts, column.ColumnName+"="+token(column.Value))
	}
	for _, column := range columns {
		cells = append(cells, column.ColumnName+"="+token(column.Value))
	}
	if len(cells) == 0 {
		cells = []string{"-"}
	}
	return strings.Join(parts, ",") + "|" + strings.Join(cells, ",")
}

func rowsOfRange(client *ots.TableStoreClient, words []string) (string, error) {
	criteria := &ots.RangeRowQueryCriteria{
		TableName: words[0], StartPrimaryKey: key(words[1]), EndPrimaryKey: key(words[2]), MaxVersion: 1,
		Limit: int32(must(strconv.Atoi(words[4]))),
	}
	if words[3] == "backward" {
		criteria.Direction = ots.BACKWARD
	}
	var rows []string
	for criteria.StartPrimaryKey != nil {
		page, err := client.GetRange(&ots.GetRangeRequest{RangeRowQueryCriteria: criteria})
		if err != nil {
			return "", err
		}
		for _, row := range page.Rows {
			rows = append(rows, show(row.PrimaryKey, row.Columns))
		}
		criteria.StartPrimaryKey = page.NextStartPrimaryKey
	}
	if len(rows) == 0 {
		return "-", nil
	}
	return strings.Join(rows, ";"), nil
}

func batch(client *ots.TableStoreClient, table, text string) (string, error) {
	request := new(ots.BatchWriteRowRequest)
	changes := strings.Split(text, ";")
	for _, of := range changes {
		words := strings.Split(of, "_")
		request.AddRowChange(change(table, words[0], words[1:]))
	}
	response, err := client.BatchWriteRow(request)
	if err != nil {
		return "", err
	}
	rows := response.TableToRowsResult[table]
	if len(rows) != len(changes) {
		return fmt.Sprintf("%d of %d rows", len(rows), len(changes)), nil
	}
	var refused []string
	for _, row := range rows {
		if !row.IsSucceed {
			refused = append(refused, fmt.Sprintf("%d:%s", row.Index, row.Error.Code))
		}
	}
	if len(refused) == 0 {
		return "all", nil
	}
	return strings.Join(refused, ","), nil
}

func batchGet(client *ots.TableStoreClient, table, text string) (string, error) {
	criteria := &ots.MultiRowQueryCriteria{TableName: table, MaxVersion: 1}
	for _, of := range strings.Split(text, ";") {
		criteria.AddRow(key(of))
	}
	request := &ots.BatchGetRowRequest{MultiRowQueryCriteria: []*ots.MultiRowQueryCriteria{criteria}}
	response, err := client.BatchGetRow(request)
	if err != nil {
		return "", err
	}
	var rows []string
	for _, row := range response.TableToRowsResult[table] {
		rows = append(rows, show(&row.PrimaryKey, row.Columns))
	}
	return strings.Join(rows, ";"), nil
}

func perform(client *ots.TableStoreClient, command string, words []string) (string, error) {
	switch command {
	case "create":
		meta := &ots.TableMeta{TableName: words[0]}
		for _, column := range strings.Split(words[1], ",") {
			name, kind, _ := strings.Cut(column, ":")
			meta.AddPrimaryKeyColumn(name, types[kind])
		}
		option := &ots.TableOption{
			TimeToAlive:               must(strconv.Atoi(words[2])),
			MaxVersion:                must(strconv.Atoi(words[3])),
			DeviationCellVersionInSec: must(strconv.ParseInt(words[4], 10, 64)),
		}
		request := &ots.CreateTableRequest{TableMeta: meta, TableOption: option, ReservedThroughput: new(ots.ReservedThroughput)}
		_, err := client.CreateTable(request)
		return "", err
	case "describe":
		described, err := client.DescribeTable(&ots.DescribeTableRequest{TableName: words[0]})
		if err != nil {
			return "", err
		}
		var key []string
		for _, column := range described.TableMeta.SchemaEntry {
			for name, kind := range types {
				if kind == *column.Type {
					key = append(key, *column.Name+":"+name)
				}
			}
		}
		option := described.TableOption
		return fmt.Sprintf("%s %d %d %d", strings.Join(key, ","), option.TimeToAlive, option.MaxVersion, option.DeviationCellVersionInSec), nil
	case "list":
		listed, err := client.ListTable()
		if err != nil {
			return "", err
		}
		return strings.Join(listed.TableNames, ","), nil
	case "update-table":
		option := &ots.TableOption{TimeToAlive: must(strconv.Atoi(words[1])), MaxVersion: must(strconv.Atoi(words[2]))}
		updated, err := client.UpdateTable(&ots.UpdateTableRequest{TableName: words[0], TableOption: option})
		if err != nil {
			return "", err
		}
		return strconv.Itoa(updated.TableOption.MaxVersion), nil
	case "delete-table":
		_, err := client.DeleteTable(&ots.DeleteTableRequest{TableName: words[0]})
		return "", err
	case "put":
		_, err := client.PutRow(&ots.PutRowRequest{PutRowChange: change(words[0], command, words[1:]).(*ots.PutRowChange)})
		return "", err
	case "update":
		_, err := client.UpdateRow(&ots.UpdateRowRequest{UpdateRowChange: change(words[0], command, words[1:]).(*ots.UpdateRowChange)})
		return "", err
	case "delete":
		_, err := client.DeleteRow(&ots.DeleteRowRequest{DeleteRowChange: change(words[0], command, words[1:]).(*ots.DeleteRowChange)})
		return "", err
	case "get":
		criteria := &ots.SingleRowQueryCriteria{TableName: words[0], PrimaryKey: key(words[1]), MaxVersion: 1}
		got, err := client.GetRow(&ots.GetRowRequest{SingleRowQueryCriteria: criteria})
		if err != nil {
			return "", err
		}
		return show(&got.PrimaryKey, got.Columns), nil
	case "batch":
		return batch(client, words[0], words[1])
	case "batch-get":
		return batchGet(client, words[0], words[1])
	case "range":
		return rowsOfRange(client, words)
	default:
		panic("there is no command " + command)
	}
}

func main() {
	config := ots.NewDefaultTableStoreConfig()
	config.MaxRetryTime = 2 * time.Second
	client := ots.NewClientWithConfig(os.Args[1], "instance", "test-id", "test-secret", "", config)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		answer, err := perform(client, words[0], words[1:])
		var refused *ots.OtsError
		switch {
		case errors.As(err, &refused):
			fmt.Println("error", refused.Code)
		case err != nil:
			fmt.Println("error client:", strings.ReplaceAll(err.Error(), "\n", " "))
		default:
			fmt.Println("ok", answer)
		}
	}
}
