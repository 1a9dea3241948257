// What goes wrong on any page of a browser without being asked for: errors on the console, scripts that throw,
// violations of the content security policy, and requests to anybody but the server.

export class Watch {
  #findings = [];
  #origin;
  #allowed = [];

  /** Watches every page of this context, from its first. */
  static async over(context, origin) {
    const watch = new Watch();
    watch.#origin = origin;
    context.on('request', (request) => watch.#saw(request.url()));
    context.on('console', (message) => watch.#heard(message));
    context.on('weberror', (error) => watch.#note(`a script threw: ${error.error()}`));
    await context.exposeBinding('reportViolation', (_, text) => watch.#note(text));
    await context.addInitScript(reportViolations);
    return watch;
  }

  /** Lets one error with these words pass: the step that follows provokes it. */
  allow(words) {
    this.#allowed.push(words);
  }

  /** What was found since the last call. */
  take() {
    const findings = this.#findings;
    this.#findings = [];
    return findings;
  }

  #saw(url) {
    const { origin, protocol } = new URL(url);
    if (protocol.startsWith('http') && origin !== this.#origin) {
      this.#note(`a request to another origin: ${url}`);
    }
  }

  #heard(message) {
    if (message.type() === 'error') {
      this.#note(`an error on the console: ${message.text()} (${message.location().url})`);
    }
  }

  #note(finding) {
    const index = this.#allowed.findIndex((words) => finding.includes(words));
    if (index >= 0) {
      this.#allowed.splice(index, 1);
    } else {
      this.#findings.push(finding);
    }
  }
}

function reportViolations() {
  document.addEventListener('securitypolicyviolation', (event) => {
    const where = `${event.sourceFile}:${event.lineNumber}`;
    window.reportViolation(`against ${event.effectiveDirective}: ${event.blockedURI} in ${where}`);
  });
}
