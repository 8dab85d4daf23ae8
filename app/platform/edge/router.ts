import type { RouteContract } from '@auditrax/base';
import { pathParams } from '../http/route-check.ts';

export interface Match {
  readonly contract: RouteContract;
  readonly params: Readonly<Record<string, string>>;
}

/** What an API path of ours may hold. No percent signs: a path has one spelling, here and behind. */
const PLAIN_PATH = /^(?:\/[A-Za-z0-9._~:-]+)+$/;
const NO_PARAMS = Object.freeze({});

interface Node {
  readonly children: Map<string, Node>;
  param: { readonly name: string; readonly node: Node } | undefined;
  readonly routes: Map<string, RouteContract>;
}

const newNode = (): Node => ({ children: new Map(), param: undefined, routes: new Map() });

/** The edge's router: what no contract names does not exist. Throws on two names for one parameter's place. */
export function createRouter(contracts: readonly RouteContract[]): (method: string, path: string) => Match | undefined {
  const fixed = new Map<string, Match>();
  const root = newNode();
  for (const contract of contracts) {
    if (pathParams(contract.path).length === 0)
      fixed.set(`${contract.method} ${contract.path}`, { contract, params: NO_PARAMS });
    else insert(root, contract);
  }
  return (method, path) => {
    const known = fixed.get(`${method} ${path}`);
    if (known !== undefined) return known;
    if (!PLAIN_PATH.test(path)) return undefined;
    const params: Record<string, string> = {};
    let node = root;
    for (const segment of path.slice(1).split('/')) {
      const child = node.children.get(segment);
      if (child !== undefined) node = child;
      else if (node.param !== undefined) {
        params[node.param.name] = segment;
        node = node.param.node;
      } else return undefined;
    }
    const contract = node.routes.get(method);
    return contract === undefined ? undefined : { contract, params };
  };
}

function insert(root: Node, contract: RouteContract): void {
  let node = root;
  for (const segment of contract.path.slice(1).split('/')) {
    if (segment.startsWith(':')) {
      const name = segment.slice(1);
      // Fastify would tell them apart by backtracking; an id must not be read under another name than it was checked.
      node.param ??= { name, node: newNode() };
      if (node.param.name !== name)
        throw new Error(`${contract.path}: the parameter ${name} is called ${node.param.name} in another route`);
      node = node.param.node;
    } else {
      if (!node.children.has(segment)) node.children.set(segment, newNode());
      node = node.children.get(segment)!;
    }
  }
  node.routes.set(contract.method, contract);
}
