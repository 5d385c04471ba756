import { sql, type Kysely, type RawBuilder, type SqlBool } from 'kysely';
import type { Database, DatabaseDialect } from '../database.ts';
import { DEFAULT_ACCOUNT, type ConnectionKey, type ListConnections, type Store } from '../store.ts';
import { columns, toConnectionRow } from './connection-rows.ts';

/**
 * Lists connections in the order of their key, or with a prefix in the order of their user id. Every filter alone has
 * an index in that order.
 */
export function listStatement(
  db: Kysely<Database>,
  { now: clock, byteOrder }: Pick<DatabaseDialect, 'now' | 'byteOrder'>,
): Store['listConnections'] {
  return async (query) => {
    const [tag, ...otherTags] = Object.entries(query.tags ?? {});
    // With a tag, its table comes first, because it has the connections of that tag in order.
    const table = tag ? 'tagged' : 'connections';
    const at: Place = { table, byteOrder };
    const order = orderOf(query, at);
    const conditions = [
      ...filters(query, table),
      ...(query.userIdPrefix === undefined ? [] : [hasPrefix(query.userIdPrefix, at)]),
      ...(query.after ? [isAfter(query.after, order)] : []),
      ...otherTags.map(hasTag),
    ];
    const isMatch = conditions.length === 0 ? sql<SqlBool>`1 = 1` : sql<SqlBool>`${sql.join(conditions, sql` and `)}`;
    const orderBy = sql`${sql.join(order.map(({ column }) => column))}`;
    const listed = tag
      ? db
          .selectFrom('connection_tags as tagged')
          .innerJoin('connections', (join) =>
            join
              .onRef('connections.integration', '=', 'tagged.integration')
              .onRef('connections.user_id', '=', 'tagged.user_id')
              .onRef('connections.account', '=', 'tagged.account')
              .onRef('connections.uuid', '=', 'tagged.uuid'),
          )
          .select(columns(clock))
          .where('tagged.name', '=', tag[0])
          .where('tagged.value', '=', tag[1])
          .where(isMatch)
          .orderBy(orderBy)
          .limit(query.limit)
      : db.selectFrom('connections').select(columns(clock)).where(isMatch).orderBy(orderBy).limit(query.limit);
    return (await listed.execute()).map(toConnectionRow);
  };
}

type Table = 'connections' | 'tagged';

/** The table that gives the order, and how texts are compared by their bytes. */
interface Place {
  readonly table: Table;
  readonly byteOrder: string;
}

function filters(query: ListConnections, table: Table): RawBuilder<SqlBool>[] {
  const { integration, userId, account, status, identity } = query;
  const equal = { integration, user_id: userId, account };
  const conditions = Object.entries(equal).flatMap(([column, value]) =>
    value === undefined ? [] : [sql<SqlBool>`${sql.ref(`${table}.${column}`)} = ${value}`],
  );
  // Literals, because these indexes hold only some connections.
  if (status !== undefined) conditions.push(sql<SqlBool>`connections.status = ${sql.lit(status)}`);
  if (account !== undefined && account !== DEFAULT_ACCOUNT)
    conditions.push(sql<SqlBool>`connections.account <> ${sql.lit(DEFAULT_ACCOUNT)}`);
  if (identity !== undefined) conditions.push(sql<SqlBool>`connections.identity_user = ${identity}`);
  return conditions;
}

interface OrderColumn {
  readonly column: RawBuilder<unknown>;
  readonly valueOf: (key: ConnectionKey) => string;
}

/** The columns of the order. Columns that a filter fixes are left out, so that every database uses its index. */
function orderOf({ integration, userId, userIdPrefix }: ListConnections, at: Place): OrderColumn[] {
  const ofIntegration = {
    column: sql.ref(`${at.table}.integration`),
    valueOf: (key: ConnectionKey) => key.integration,
  };
  const ofUser = { column: userColumn(at, userIdPrefix), valueOf: (key: ConnectionKey) => key.userId };
  const ofAccount = { column: sql.ref(`${at.table}.account`), valueOf: (key: ConnectionKey) => key.account };
  const first = userIdPrefix === undefined ? [ofIntegration, ofUser] : [ofUser, ofIntegration];
  const isFixed = (column: OrderColumn) =>
    column === ofIntegration ? integration !== undefined : column === ofUser && userId !== undefined;
  return [...first, ofAccount].filter((column) => !isFixed(column));
}

/** Texts with one prefix are together only in the order of their bytes. */
function userColumn({ table, byteOrder }: Place, prefix: string | undefined): RawBuilder<unknown> {
  return prefix === undefined ? sql.ref(`${table}.user_id`) : sql`${sql.ref(`${table}.user_id`)} ${sql.raw(byteOrder)}`;
}

/** User ids from the prefix on, up to the text that follows all that have it. */
function hasPrefix(prefix: string, at: Place): RawBuilder<SqlBool> {
  const column = userColumn(at, prefix);
  const end = endOfPrefix(prefix);
  const isFrom = sql<SqlBool>`${column} >= ${prefix}`;
  return end === undefined ? isFrom : sql<SqlBool>`${isFrom} and ${column} < ${end}`;
}

/** The first text, in the order of UTF-8 bytes, that follows all texts with a prefix; undefined if there is none. */
function endOfPrefix(prefix: string): string | undefined {
  const points = Array.from(prefix, (character) => character.codePointAt(0) ?? 0);
  while (points.at(-1) === MAX_CODE_POINT) points.pop();
  const last = points.pop();
  if (last === undefined) return undefined;
  // Surrogates are no characters.
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
}

const MAX_CODE_POINT = 0x10ffff;

function isAfter(after: ConnectionKey, order: readonly OrderColumn[]): RawBuilder<SqlBool> {
  const names = sql.join(order.map(({ column }) => column));
  return sql<SqlBool>`(${names}) > (${sql.join(order.map(({ valueOf }) => valueOf(after)))})`;
}

function hasTag([name, value]: [string, string]): RawBuilder<SqlBool> {
  return sql<SqlBool>`exists (select 1 from connection_tags as other
    where other.name = ${name} and other.value = ${value} and other.integration = connections.integration
      and other.user_id = connections.user_id and other.account = connections.account
      and other.uuid = connections.uuid)`;
}
