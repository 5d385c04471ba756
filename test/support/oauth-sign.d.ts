declare module 'oauth-sign' {
  const oauthSign: {
    sign(
      signatureMethod: string,
      method: string,
      baseUri: string,
      params: Record<string, string[]>,
      clientSecret: string,
      tokenSecret: string,
    ): string;
  };
  export default oauthSign;
}
