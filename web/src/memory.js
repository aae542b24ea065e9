/** Memory that is given back at once, where garbage would stay until the engine collects it: hundreds of MiB of a page. */

/** @import { Bytes } from "./bytes.js" */

/** @type {MessagePort | undefined} */
let nobody;

/**
 * Give the memory of bytes back; whoever still holds them finds them empty.
 * @param {Bytes} data the whole of its buffer's owner
 */
export function free({ buffer }) {
  if (!nobody) {
    const { port1, port2 } = new MessageChannel();
    port2.close();
    nobody = port1;
  }
  // What is transferred to where nobody listens is gone; ArrayBuffer.transfer(0) leaves it to Chromium's collector.
  nobody.postMessage(null, [buffer]);
}
