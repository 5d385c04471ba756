import { Processes, SECRET_KEY } from '/work/main/bench/request-path/processes.ts';
const p = new Processes();
const mode = process.argv[2] ?? 'proxy';
const users = Number(process.argv[3] ?? 1);
const cache = Number(process.argv[4] ?? 10000);
try {
  const { url: upstream } = await p.api('api');
  const n = mode==='bare' ? await p.subject('bare',{upstream}) : await p.nango({ upstream, connections: users, cacheSize: cache });
  const headers = { authorization: `Bearer ${SECRET_KEY}`, 'nango-integration': 'acme', 'nango-user-id': users > 1 ? '{n}' : '0' };
  const url = mode==='bare' ? n.url+'/v1/items' : mode === 'proxy' ? `${n.url}/proxy/v1/items` : `${n.url}/api/connection?integration=acme&userId=0`;
  console.log(await p.load({ url, headers, clients: 32, seconds: 1, users }));
  console.log(await p.load({ url, headers, clients: 32, seconds: 4, users }));
} finally { await p.end(); }
