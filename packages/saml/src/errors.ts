import { AppError } from '@auditrax/base';

/**
 * Every reason for which something is refused, the number of its check in SPEC.md and one sentence for the
 * administrator of the connection. Nobody else is shown it: to an attacker it would say which wall he stands before.
 */
export const SAML_CHECKS = {
  saml_too_large: ['G1', 'The message is larger than any provider sends.'],
  saml_base64: ['G2', 'The form field is not strict base64.'],
  saml_encoding: ['G3', 'The message is not plain UTF-8 text of XML characters.'],
  saml_doctype: ['G4', 'The message has a document type declaration.'],
  saml_comment: ['G4', 'The message has a comment.'],
  saml_cdata: ['G4', 'The message has a CDATA section.'],
  saml_markup_declaration: ['G4', 'The message has a markup declaration.'],
  saml_processing_instruction: ['G4', 'The message has a processing instruction.'],
  saml_not_well_formed: ['G5', 'The message is not well-formed XML with one root.'],
  saml_entity: ['G5', 'The message refers to an entity that XML does not predefine.'],
  saml_too_complex: ['G5', 'The message has too many elements or is nested too deeply.'],
  saml_root: ['G7', 'The message is not a samlp:Response.'],
  saml_namespace_foreign: ['G8', 'An element belongs to a namespace that has no place here.'],
  saml_namespace_declaration: ['G8', 'A namespace declaration is not an absolute URI.'],
  saml_inclusive_namespaces_misplaced: ['G8', 'InclusiveNamespaces stands outside of a ds:Transform.'],
  saml_extensions: ['G9', 'The message has samlp:Extensions.'],
  saml_advice: ['G9', 'The assertion has saml:Advice.'],
  saml_signature_object: ['G9', 'A signature carries a ds:Object.'],
  saml_element_unexpected: ['G9', 'An element stands where it has no place.'],
  saml_element_repeated: ['G9', 'An element is there more often than allowed.'],
  saml_element_order: ['G9', 'Elements are not in the order of the schema.'],
  saml_attribute_unexpected: ['G9', 'An XML attribute stands where it has no place.'],
  saml_value_not_text: ['G10', 'A value is not plain text.'],
  saml_text_unexpected: ['G10', 'Text stands between elements.'],
  saml_id_duplicate: ['G11', 'Two elements have one ID.'],
  saml_id_invalid: ['G11', 'An ID is missing or not an XML name.'],
  saml_assertion_count: ['G12', 'There is not exactly one assertion.'],
  saml_assertion_misplaced: ['G12', 'An assertion is not a direct child of the response.'],
  saml_signature_misplaced: ['G13', 'A signature is not a child of the response or its assertion.'],
  saml_unsigned: ['G13', 'Neither the response nor its assertion is signed.'],
  saml_signature_shape: ['G14', 'A signature is not made of exactly the parts of the SAML profile.'],
  saml_reference_count: ['G14', 'A signature does not have exactly one reference.'],
  saml_reference_target: ['G14', 'A signature refers to something else than its parent.'],
  saml_transforms: ['G14', 'The transforms are not exactly enveloped and exclusive canonicalization.'],
  saml_algorithm_refused: ['G15', 'An algorithm of a signature is not on the connection’s list.'],
  saml_encryption_algorithm: ['G16', 'The encryption is not AES-GCM or AES-CBC with RSA-OAEP (SHA-1).'],
  saml_encryption_shape: ['G16', 'The encrypted assertion is not one key and one ciphertext.'],
  saml_encryption_no_key: ['G16', 'The assertion is encrypted, but this side has no key for it.'],
  saml_encryption_unauthenticated: [
    'G17',
    'AES-CBC is accepted only in a signed response: sign it, or encrypt with AES-GCM.',
  ],
  saml_no_usable_certificate: ['G18', 'The connection has no active certificate that is valid now.'],
  saml_signature_invalid: ['G18', 'A signature does not hold under any active certificate.'],
  saml_signer_unknown: ['G18', 'The message names a certificate that the connection does not know.'],
  saml_signer_pending: ['G18', 'The message names a certificate that waits for approval.'],
  saml_signer_retired: ['G18', 'The message names a certificate that was retired.'],
  saml_signer_expired: ['G18', 'The message names a certificate that is outside of its validity.'],
  saml_signed_bytes_differ: ['G19', 'What is signed is not what the message shows.'],
  saml_decryption_failed: ['G20', 'The assertion cannot be decrypted and verified with this side’s keys.'],
  saml_unsolicited: ['G21', 'The provider started the sign-in by itself.'],
  saml_in_response_to: ['G21', 'The message answers another request.'],
  saml_relay_state: ['G21', 'The relay state is not the one of the request.'],
  saml_request_expired: ['G21', 'The request was made too long ago.'],
  saml_version: ['G22', 'The version is not 2.0.'],
  saml_status_missing: ['G23', 'The response has no status.'],
  saml_status_not_success: ['G23', 'The provider reports a failure.'],
  saml_status_unknown: ['G23', 'The provider reports a status that SAML does not define.'],
  saml_destination: ['G24', 'The destination is not this connection’s address.'],
  saml_issuer: ['G25', 'The issuer is not the connection’s provider.'],
  saml_time_form: ['G26', 'A time is not written in UTC as SAML asks.'],
  saml_issue_instant: ['G26', 'The message was issued before the request or in the future.'],
  saml_confirmation_count: ['G27', 'There is not exactly one subject confirmation.'],
  saml_confirmation_method: ['G27', 'The subject confirmation is not bearer.'],
  saml_confirmation_data: ['G27', 'The subject confirmation lacks its data or has a NotBefore.'],
  saml_recipient: ['G27', 'The recipient is not this connection’s address.'],
  saml_confirmation_expired: ['G27', 'The subject confirmation has expired.'],
  saml_lifetime_excessive: ['G27', 'The assertion is promised to be valid for too long.'],
  saml_conditions_missing: ['G28', 'The assertion has no conditions.'],
  saml_not_yet_valid: ['G28', 'The assertion is not valid yet.'],
  saml_expired: ['G28', 'The assertion has expired.'],
  saml_audience: ['G29', 'The audience is not exactly this service.'],
  saml_authn_statement_count: ['G30', 'There is not exactly one authentication statement.'],
  saml_authn_instant_future: ['G30', 'The person is said to have signed in in the future.'],
  saml_authn_too_old: ['G30', 'The person signed in at the provider too long ago.'],
  saml_session_over: ['G30', 'The session at the provider is over.'],
  saml_session_index: ['G30', 'The session index is empty or too long.'],
  saml_name_id_missing: ['G31', 'The subject has no NameID.'],
  saml_name_id_form: ['G31', 'The NameID is empty, padded, too long or has control characters.'],
  saml_name_id_qualifier: ['G31', 'The NameID was made for another service.'],
  saml_attribute_duplicate: ['G32', 'Two attributes have one name.'],
  saml_attribute_name: ['G32', 'An attribute has no name or an overlong one.'],
  saml_attribute_limit: ['G32', 'There are too many attributes or values, or a value is too long.'],
  saml_replayed: ['G33', 'The assertion was used before.'],
  saml_setting_invalid: ['G34', 'A setting of the connection is not usable.'],
  saml_certificate_unreadable: ['G34', 'A certificate cannot be read.'],
  saml_certificate_key: ['G34', 'A certificate’s key is not RSA of 2048 to 8192 bits.'],
  saml_certificate_count: ['G34', 'There are too many certificates.'],
  saml_metadata_invalid: ['G36', 'The document is not metadata of one SAML 2.0 identity provider.'],
  saml_parser: ['G36', 'The parser of the signature check complains about the document.'],
  saml_metadata_expired: ['G36', 'The metadata says itself that it is out of date.'],
  saml_metadata_entity: ['G36', 'The metadata describes another provider.'],
} as const;

/** The exact check that refused; each has a row in {@link SAML_CHECKS}. */
export type SamlCode = keyof typeof SAML_CHECKS;

/**
 * An error that names the failed check. `detail` may quote the message and is for the log and for administrators; no
 * public detail is ever set.
 */
export function refusal(
  code: SamlCode,
  detail?: string,
  options: { field?: string; cause?: unknown } = {},
): AppError<SamlCode> {
  const [check, sentence] = SAML_CHECKS[code];
  return new AppError(code, `${check}: ${sentence}${detail === undefined ? '' : ` (${detail})`}`, options);
}

/** Characters of foreign text that an error quotes. */
const QUOTED_CHARACTERS_MAX = 120;

/** Foreign text in an error: bounded, and without line breaks or control characters that could forge a log line. */
export function quoted(text: string): string {
  const short = text.length > QUOTED_CHARACTERS_MAX ? `${text.slice(0, QUOTED_CHARACTERS_MAX)}…` : text;
  return JSON.stringify(short.toWellFormed());
}
