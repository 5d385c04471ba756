import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  context,
  defaultTextMapGetter,
  defaultTextMapSetter,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type ContextManager,
  type Span,
  type Tracer,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ConsoleSpanExporter,
  ParentBasedSampler,
  SimpleSpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type Sampler,
} from '@opentelemetry/sdk-trace';
import type { TracingSettings } from '../config/settings.ts';
import { messageOf } from '../errors/nango-error.ts';
import type { TraceOutgoing } from '../upstream/traced-request.ts';

/**
 * OpenTelemetry traces: a span for each incoming and each outgoing request, joined by W3C Trace Context. Spans hold
 * hosts, methods, routes and statuses. They never hold a URL, which may contain secrets.
 */
export class Tracing {
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  readonly #manager: ContextManager = new AsyncLocalStorageContextManager().enable();
  readonly #propagator = new W3CTraceContextPropagator();
  readonly #incoming = new WeakMap<IncomingMessage, Span>();

  constructor(settings: TracingSettings, version: string) {
    const resource = defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'nango', 'service.version': version }))
      .merge(detectResources({ detectors: [envDetector] }));
    const processor =
      settings.exporter === 'console'
        ? new SimpleSpanProcessor({ exporter: new ConsoleSpanExporter() })
        : new BatchSpanProcessor({ exporter: new OTLPTraceExporter() });
    this.#provider = new TracerProvider({ resource, spanProcessors: [processor], sampler: samplerOf(settings) });
    this.#tracer = this.#provider.getTracer('nango', version);
  }

  /** Handles a request inside a span, which ends with the response. */
  incoming(request: IncomingMessage, response: ServerResponse, handle: () => void): void {
    const { method = '', headers, url = '' } = request;
    const parent = this.#propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter);
    // An API must receive the context of our own span.
    delete headers['traceparent'];
    delete headers['tracestate'];
    const attributes = { 'http.request.method': method, 'url.scheme': 'http' };
    const kind = SpanKind.SERVER;
    const name = `${method} ${url.startsWith('/proxy/') ? '/proxy/*' : '/'}`;
    const span = this.#tracer.startSpan(name, { kind, attributes }, parent);
    this.#incoming.set(request, span);
    response.once('close', () => {
      span.setAttribute('http.response.status_code', response.statusCode);
      if (response.statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    });
    this.#manager.with(trace.setSpan(ROOT_CONTEXT, span), handle);
  }

  /** Names the span of a request after its route. */
  route(request: IncomingMessage, route: string): void {
    this.#incoming.get(request)?.updateName(`${request.method} ${route}`).setAttribute('http.route', route);
  }

  /** Adds attributes to the current span. */
  annotate(attributes: Attributes): void {
    trace.getSpan(this.#active())?.setAttributes(attributes);
  }

  /** Begins the span of an outgoing request. */
  readonly outgoing: TraceOutgoing = ({ method, host }) => {
    const [address = host, port] = host.split(/:(?=\d+$)/);
    const attributes: Attributes = { 'http.request.method': method, 'server.address': address };
    if (port !== undefined) attributes['server.port'] = Number(port);
    const parent = this.#active();
    const span = this.#tracer.startSpan(`${method} ${address}`, { kind: SpanKind.CLIENT, attributes }, parent);
    const headers: Record<string, string> = {};
    this.#propagator.inject(trace.setSpan(parent, span), headers, defaultTextMapSetter);
    return {
      headers,
      end({ status, error }) {
        if (status !== undefined) span.setAttribute('http.response.status_code', status);
        if (error !== undefined) span.setAttribute('error.type', messageOf(error).slice(0, 200));
        if (error !== undefined || (status ?? 0) >= 400) span.setStatus({ code: SpanStatusCode.ERROR });
        span.end();
      },
    };
  };

  /** Sends the remaining spans. */
  async close(): Promise<void> {
    await this.#provider.shutdown();
    context.disable();
    this.#manager.disable();
  }

  #active(): Context {
    return this.#manager.active();
  }
}

function samplerOf({ sampler, samplerArgument }: TracingSettings): Sampler {
  const ratio = new TraceIdRatioBasedSampler(samplerArgument);
  const samplers: Record<TracingSettings['sampler'], () => Sampler> = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => ratio,
    parentbased_always_on: () => new ParentBasedSampler({ root: new AlwaysOnSampler() }),
    parentbased_always_off: () => new ParentBasedSampler({ root: new AlwaysOffSampler() }),
    parentbased_traceidratio: () => new ParentBasedSampler({ root: ratio }),
  };
  return samplers[sampler]();
}
