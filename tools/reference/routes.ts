import type { OperatorAccess, RouteContract } from '@auditrax/base/route';
import type { FoundRoute } from './contracts.ts';
import { code, page, table } from './markdown.ts';

function operators(needed: OperatorAccess | undefined): string {
  if (needed === undefined) return '';
  return 'scope' in needed
    ? `, operator with production access to \`${needed.scope}\``
    : `, operator, without production access: ${needed.withoutGrant}`;
}

function who({ access, foreign }: Pick<RouteContract, 'access' | 'foreign'>): string {
  switch (access.kind) {
    case 'public':
      return foreign === undefined ? 'everybody' : `everybody, from elsewhere (${foreign.caller}): ${foreign.reason}`;
    case 'session':
      return `${access.class}${operators(access.operatorOnly)}`;
    case 'internal':
      if (access.token === false) return access.callers.join(', ');
      return `${access.callers.join(', ')}, with the caller’s token${access.token === true ? '' : ` (${access.token})`}`;
  }
}

function row({ contract }: FoundRoute): string[] {
  const { access, ids } = contract;
  return [
    contract.method,
    code(contract.path),
    code(contract.operation),
    who(contract),
    Object.entries(ids)
      .map(([place, kind]) => code(`${place}: ${kind}`))
      .join(', '),
    access.kind === 'session' && access.stepUp === true ? 'yes' : '',
  ];
}

const HEAD = ['method', 'path', 'operation', 'who', 'tagged ids', 'step-up'];

/** Every route that a service answers, the edge's and the internal ones apart. */
export function routesPage(routes: readonly FoundRoute[]): string {
  const services = [...new Set(routes.map(({ contract }) => contract.service))];
  const sectionsOf = (title: string, wanted: (route: FoundRoute) => boolean) =>
    services.flatMap((service) => {
      const rows = routes.filter((route) => route.contract.service === service && wanted(route));
      return rows.length === 0 ? [] : [`## ${title}: ${service}`, table(HEAD, rows.map(row))];
    });
  return page('Routes', 'the rooms’ `contract.ts`', [
    'Who: `read`, `write` and `privileged` need a session and a transaction token of that class, and Cedar decides by the operation. Internal routes name the services that may call; the edge forwards none of them. A tagged id is checked by the gateway and again by the service.',
    ...sectionsOf('From the edge', ({ contract }) => contract.access.kind !== 'internal'),
    ...sectionsOf('Internal', ({ contract }) => contract.access.kind === 'internal'),
  ]);
}
