import com.alicloud.openservices.tablestore.ClientConfiguration;
import com.alicloud.openservices.tablestore.ClientException;
import com.alicloud.openservices.tablestore.SyncClient;
import com.alicloud.openservices.tablestore.TableStoreException;
import com.alicloud.openservices.tablestore.core.ResourceManager;
import com.alicloud.openservices.tablestore.core.auth.DefaultCredentialProvider;
import com.alicloud.openservices.tablestore.core.auth.DefaultCredentials;
import com.alicloud.openservices.tablestore.core.auth.V4Credentials;
import com.alicloud.openservices.tablestore.model.*;
import com.alicloud.openservices.tablestore.model.condition.SingleColumnValueCondition;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The official Java SDK, driven by lines: Sdk ENDPOINT [v4]. driver.py says which commands there are; this one has two more, which only this SDK
 * can do: import TABLE CHANGE;... and split TABLE MEGABYTES.
 */
public class Sdk {
    private static final HexFormat HEX = HexFormat.of();
    private final SyncClient client;

    private Sdk(SyncClient client) {
        this.client = client;
    }

    public static void main(String[] arguments) {
        try {
            run(arguments);
            System.exit(0);
        } catch (Throwable unexpected) {
            // The SDK's threads would keep the process alive, and whoever waits for its answer waiting.
            unexpected.printStackTrace();
            System.exit(1);
        }
    }

    private static void run(String[] arguments) throws Exception {
        ClientConfiguration configuration = new ClientConfiguration();
        configuration.setRetryStrategy(new DefaultRetryStrategy(2, TimeUnit.SECONDS));
        configuration.setEnableResponseValidation(true);
        configuration.setEnableResponseContentMD5Checking(true);
        SyncClient client;
        if (arguments.length > 1) {
            DefaultCredentials plain = new DefaultCredentials("test-id", "test-secret");
            V4Credentials credentials = V4Credentials.createByServiceCredentials(plain, "cn-hangzhou");
            ResourceManager resources = new ResourceManager(configuration, null);
            client = new SyncClient(arguments[0], new DefaultCredentialProvider(credentials), "instance", configuration, resources);
        } else {
            client = new SyncClient(arguments[0], "test-id", "test-secret", "instance", configuration);
        }
        Sdk sdk = new Sdk(client);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println(sdk.answer(line.split(" ")));
            System.out.flush();
        }
    }

    private String answer(String[] words) {
        try {
            return "ok " + perform(words);
        } catch (TableStoreException refused) {
            return "error " + refused.getErrorCode();
        } catch (ClientException refused) {
            return "error client: " + String.valueOf(refused.getMessage()).replace('\n', ' ');
        }
    }

    private String perform(String[] words) {
        String table = words.length > 1 ? words[1] : null;
        switch (words[0]) {
            case "create" -> {
                TableMeta meta = new TableMeta(table);
                for (String column : words[2].split(",")) {
                    String[] parts = column.split(":");
                    meta.addPrimaryKeyColumn(parts[0], PrimaryKeyType.valueOf(parts[1].toUpperCase()));
                }
                TableOptions options = new TableOptions(Integer.parseInt(words[3]), Integer.parseInt(words[4]), Long.parseLong(words[5]));
                client.createTable(new CreateTableRequest(meta, options, new ReservedThroughput(new CapacityUnit(0, 0))));
                return "";
            }
            case "describe" -> {
                DescribeTableResponse described = client.describeTable(new DescribeTableRequest(table));
                TableOptions options = described.getTableOptions();
                String key = described.getTableMeta().getPrimaryKeyList().stream()
                        .map(column -> column.getName() + ":" + column.getType().name().toLowerCase())
                        .collect(Collectors.joining(","));
                return key + " " + options.getTimeToLive() + " " + options.getMaxVersions() + " " + options.getMaxTimeDeviation();
            }
            case "list" -> {
                return String.join(",", client.listTable().getTableNames());
            }
            case "update-table" -> {
                TableOptions options = new TableOptions(Integer.parseInt(words[2]), Integer.parseInt(words[3]));
                UpdateTableRequest request = new UpdateTableRequest(table);
                request.setTableOptionsForUpdate(options);
                return "" + client.updateTable(request).getTableOptions().getMaxVersions();
            }
            case "delete-table" -> {
                client.deleteTable(new DeleteTableRequest(table));
                return "";
            }
            case "put", "update", "delete" -> {
                RowChange change = change(table, words, 2);
                if (change instanceof RowPutChange put) {
                    client.putRow(new PutRowRequest(put));
                } else if (change instanceof RowUpdateChange update) {
                    client.updateRow(new UpdateRowRequest(update));
                } else {
                    client.deleteRow(new DeleteRowRequest((RowDeleteChange) change));
                }
                return "";
            }
            case "get" -> {
                SingleRowQueryCriteria criteria = new SingleRowQueryCriteria(table, key(words[2]));
                criteria.setMaxVersions(1);
                return show(client.getRow(new GetRowRequest(criteria)).getRow());
            }
            case "batch" -> {
                BatchWriteRowRequest request = new BatchWriteRowRequest();
                changes(table, words[2]).forEach(request::addRowChange);
                BatchWriteRowResponse response = client.batchWriteRow(request);
                return verdicts(request.getRowsCount(), response.getRowStatus(table).stream()
                        .map(row -> row.isSucceed() ? "" : row.getIndex() + ":" + row.getError().getCode()).toList());
            }
            case "import" -> {
                BulkImportRequest request = new BulkImportRequest(table);
                request.addRowChanges(changes(table, words[2]));
                return verdicts(request.getRowsCount(), client.bulkImport(request).getRowResults().stream()
                        .map(row -> row.isSucceed() ? "" : row.getIndex() + ":" + row.getError().getCode()).toList());
            }
            case "batch-get" -> {
                MultiRowQueryCriteria criteria = new MultiRowQueryCriteria(table);
                criteria.setMaxVersions(1);
                Stream.of(words[2].split(";")).forEach(key -> criteria.addRow(key(key)));
                BatchGetRowRequest request = new BatchGetRowRequest();
                request.addMultiRowQueryCriteria(criteria);
                return client.batchGetRow(request).getBatchGetRowResult(table).stream()
                        .map(row -> show(row.getRow())).collect(Collectors.joining(";"));
            }
            case "range" -> {
                return range(table, words);
            }
            case "split" -> {
                ComputeSplitsBySizeRequest request = new ComputeSplitsBySizeRequest(table, Long.parseLong(words[2]), 1024 * 1024);
                return client.computeSplitsBySize(request).getSplits().stream()
                        .map(split -> show(split.getLowerBound())).collect(Collectors.joining(";"));
            }
            default -> throw new IllegalArgumentException(words[0]);
        }
    }

    private String range(String table, String[] words) {
        RangeRowQueryCriteria criteria = new RangeRowQueryCriteria(table);
        criteria.setMaxVersions(1);
        criteria.setInclusiveStartPrimaryKey(key(words[2]));
        criteria.setExclusiveEndPrimaryKey(key(words[3]));
        criteria.setDirection(Direction.valueOf(words[4].toUpperCase()));
        criteria.setLimit(Integer.parseInt(words[5]));
        List<Row> rows = new ArrayList<>();
        GetRangeResponse page = client.getRange(new GetRangeRequest(criteria));
        rows.addAll(page.getRows());
        while (page.getNextStartPrimaryKey() != null) {
            criteria.setInclusiveStartPrimaryKey(page.getNextStartPrimaryKey());
            page = client.getRange(new GetRangeRequest(criteria));
            rows.addAll(page.getRows());
        }
        return rows.isEmpty() ? "-" : rows.stream().map(Sdk::show).collect(Collectors.joining(";"));
    }

    private static String verdicts(int sent, List<String> rows) {
        if (rows.size() != sent) {
            return rows.size() + " of " + sent + " rows";
        }
        String refused = rows.stream().filter(row -> !row.isEmpty()).sorted().collect(Collectors.joining(","));
        return refused.isEmpty() ? "all" : refused;
    }

    private static List<RowChange> changes(String table, String text) {
        return Stream.of(text.split(";")).map(change -> change(table, change.split("_"), 1)).toList();
    }

    private static RowChange change(String table, String[] words, int at) {
        PrimaryKey key = key(words[at]);
        RowChange change;
        switch (words[0]) {
            case "put" -> {
                RowPutChange put = new RowPutChange(table, key);
                cells(words[at + 1]).forEach(put::addColumn);
                change = put;
            }
            case "update" -> {
                RowUpdateChange update = new RowUpdateChange(table, key);
                for (String edit : words[at + 1].split(",")) {
                    if (edit.startsWith("+")) {
                        update.put(cell(edit.substring(1)));
                    } else {
                        update.deleteColumns(edit.substring(1));
                    }
                }
                change = update;
            }
            default -> change = new RowDeleteChange(table, key);
        }
        change.setCondition(condition(words[words.length - 1]));
        return change;
    }

    private static Condition condition(String text) {
        String[] parts = text.split("/");
        Condition condition = new Condition(switch (parts[0]) {
            case "exist" -> RowExistenceExpectation.EXPECT_EXIST;
            case "absent" -> RowExistenceExpectation.EXPECT_NOT_EXIST;
            default -> RowExistenceExpectation.IGNORE;
        });
        if (parts.length > 1) {
            SingleColumnValueCondition.CompareOperator operator = switch (parts[2]) {
                case "eq" -> SingleColumnValueCondition.CompareOperator.EQUAL;
                case "ne" -> SingleColumnValueCondition.CompareOperator.NOT_EQUAL;
                case "gt" -> SingleColumnValueCondition.CompareOperator.GREATER_THAN;
                case "ge" -> SingleColumnValueCondition.CompareOperator.GREATER_EQUAL;
                case "lt" -> SingleColumnValueCondition.CompareOperator.LESS_THAN;
                default -> SingleColumnValueCondition.CompareOperator.LESS_EQUAL;
            };
            condition.setColumnCondition(
                    new SingleColumnValueCondition(parts[1], operator, value(parts[3])).setPassIfMissing(false).setLatestVersionsOnly(true));
        }
        return condition;
    }

    private static PrimaryKey key(String text) {
        PrimaryKeyBuilder key = PrimaryKeyBuilder.createPrimaryKeyBuilder();
        for (String column : text.split(",")) {
            String[] parts = column.split("=", 2);
            key.addPrimaryKeyColumn(parts[0], switch (parts[1]) {
                case "min" -> PrimaryKeyValue.INF_MIN;
                case "max" -> PrimaryKeyValue.INF_MAX;
                default -> PrimaryKeyValue.fromColumn(value(parts[1]));
            });
        }
        return key.build();
    }

    private static List<Column> cells(String text) {
        return text.equals("-") ? List.of() : Stream.of(text.split(",")).map(Sdk::cell).toList();
    }

    private static Column cell(String text) {
        String[] parts = text.split("=", 2);
        return new Column(parts[0], value(parts[1]));
    }

    private static ColumnValue value(String token) {
        String text = token.substring(2);
        return switch (token.charAt(0)) {
            case 'i' -> ColumnValue.fromLong(Long.parseLong(text));
            case 'd' -> ColumnValue.fromDouble(Double.longBitsToDouble(Long.parseUnsignedLong(text, 16)));
            case 'b' -> ColumnValue.fromBoolean(text.equals("1"));
            case 's' -> ColumnValue.fromString(new String(HEX.parseHex(text), StandardCharsets.UTF_8));
            default -> ColumnValue.fromBinary(HEX.parseHex(text));
        };
    }

    private static String show(Row row) {
        if (row == null) {
            return "none";
        }
        String cells = Stream.of(row.getColumns()).map(column -> column.getName() + "=" + show(column.getValue())).collect(Collectors.joining(","));
        return show(row.getPrimaryKey()) + "|" + (cells.isEmpty() ? "-" : cells);
    }

    private static String show(PrimaryKey key) {
        return Stream.of(key.getPrimaryKeyColumns()).map(column -> column.getName() + "=" + show(column.getValue())).collect(Collectors.joining(","));
    }

    private static String show(PrimaryKeyValue value) {
        if (value.isInfMin()) {
            return "min";
        }
        if (value.isInfMax()) {
            return "max";
        }
        return switch (value.getType()) {
            case INTEGER -> "i:" + value.asLong();
            case STRING -> "s:" + HEX.formatHex(value.asString().getBytes(StandardCharsets.UTF_8));
            default -> "x:" + HEX.formatHex(value.asBinary());
        };
    }

    private static String show(ColumnValue value) {
        return switch (value.getType()) {
            case INTEGER -> "i:" + value.asLong();
            case DOUBLE -> "d:" + HEX.toHexDigits(Double.doubleToRawLongBits(value.asDouble()));
            case BOOLEAN -> "b:" + (value.asBoolean() ? 1 : 0);
            case STRING -> "s:" + HEX.formatHex(value.asString().getBytes(StandardCharsets.UTF_8));
            default -> "x:" + HEX.formatHex(value.asBinary());
        };
    }
}
