import { relative, resolve } from 'node:path';

/** Returns the class name of an Action: `acme-crm` + `list-contacts` → `AcmeCrmListContactsAction`. */
export function actionClassName(integration: string, action: string): string {
  return `${camelCase(integration)}${camelCase(action)}Action`;
}

function camelCase(name: string): string {
  return name
    .split(/[-_]+/)
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
    .join('');
}

/** Returns a path such as `acme/notify.action.ts`, which reveals no folders of the machine. */
export function shortName(file: string): string {
  return relative(resolve(file, '../..'), file);
}
