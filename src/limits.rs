//! Every bound in one place, the unit last in its name.
//!
//! The assertions at the end hold how the bounds relate; change one and the build says which other it breaks.
//!
//! # What comes from outside
//!
//! Every byte that others choose, what bounds its effect on memory, processor time, the log and other clients, and the
//! tests that show it. A test holds that these exist.
//!
//! | what comes | what bounds it | shown by |
//! | --- | --- | --- |
//! | **A client's port**, TCP or Unix |  |  |
//! | a connection | `CLIENTS_MAX`, clients of one address, `ACCEPTS_PER_TURN_MAX`; without descriptors nobody is accepted for `ACCEPT_RETRY_MS` | `tests/lifecycle.rs`: one_client_too_many_is_told_so, running_out_of_descriptors_costs_no_time; `tests/bounds.rs`: one_address_has_no_more_clients_than_it_may; `tests/endings.rs`: many_connections_leave_nothing_behind |
//! | silence, a byte now and then | `FIRST_REQUEST_SECONDS`, the timeout | `tests/bounds.rs`: who_sends_no_request_in_time_is_closed; `tests/lifecycle.rs`: idle_clients_are_closed_where_asked_for, ten_thousand_idle_clients_are_held_and_answered |
//! | an end, a half close, a reset, anywhere | what was received is executed, or all is forgotten | `tests/endings.rs`: a_conversation_may_end_at_every_point, what_was_sent_before_the_end_is_executed; `tests/lifecycle.rs`: a_half_closed_client_gets_all_its_replies, a_reset_harms_nobody |
//! | any bytes at all, cut anywhere | the parser knows no others than those of requests | `tests/corpora.rs`: any_bytes_are_parsed, pieces_are_parsed_as_the_whole_is, a_server_answers_pieces_as_it_answers_the_whole |
//! | a line | `LINE_BYTES_MAX`; no byte is looked at twice | `tests/protocol.rs`: long_lines_have_an_end; `tests/lifecycle.rs`: an_endless_line_is_cut_off; `src/proto/text.rs`: no_byte_is_scanned_twice |
//! | a browser's request | its first or second line closes the connection | `tests/protocol.rs`: browsers_are_shown_the_door |
//! | a RESP header | `HEADER_BYTES_MAX`, `ARGS_MAX`, `VALUE_BYTES_MAX`; what is announced is not believed | `tests/bounds.rs`: protocol_errors_have_redis_s_words_and_close, what_is_announced_costs_nothing_before_it_comes |
//! | a RESP request | `REQUEST_BYTES_MAX` | `src/proto/resp.rs`: a_request_has_a_bound_in_all |
//! | a long value | it is received where it stays, `LONG_RECEIVE_BYTES_MAX` at a time | `tests/bounds.rs`: a_large_value_is_received_where_it_stays; `tests/long.rs`: a_long_value_comes_in_short_turns_and_is_not_copied |
//! | all that clients make the server hold | `CLIENTS_MEMORY_PART`, `WORD_MEMORY_PART` | `tests/bounds.rs`: who_holds_most_goes_where_all_together_hold_too_much, clients_that_go_for_what_they_hold_cost_no_more_than_they_may, one_value_at_a_time_may_be_longer_than_what_clients_may_hold, what_clients_call_themselves_counts |
//! | what comes before AUTH | `UNAUTHENTICATED_ARGS_MAX`, `UNAUTHENTICATED_BYTES_MAX`; five commands | `src/proto/resp.rs`: who_has_not_authenticated_may_send_little; `tests/commands/connection.rs`: auth |
//! | a password | compared in a time that tells nothing; a wrong one is answered after `WRONG_PASSWORD_MS`, and never shown | `src/command/session.rs`: secrets_are_compared_whole; `tests/endings.rs`: who_goes_while_a_password_is_refused_waits_no_more; `src/command/slowlog.rs`: secrets_do_not_get_in |
//! | many requests at once | `TURN_NS_MAX`, `TURN_BYTES_MAX`, `BATCH_REQUESTS_MAX` | `tests/lifecycle.rs`: a_full_pipeline_makes_nobody_wait; `tests/bounded.rs`: prepending_to_a_large_value_in_a_row_makes_nobody_wait, sums_of_many_digits_in_a_row_make_nobody_wait |
//! | replies that are not read | `OUTPUT_SOFT_BYTES_MAX`, `OUTPUT_PINNED_BYTES` | `tests/bounds.rs`: a_stopped_reader_costs_its_limit_and_no_time; `tests/lifecycle.rs`: a_slow_reader_of_small_replies_costs_its_limit, a_slow_reader_of_big_replies_costs_its_limit |
//! | a request with a large answer | `OUTPUT_HARD_BYTES_MAX` | `tests/bounds.rs`: who_asks_for_too_large_a_reply_is_closed; `tests/bounded.rs`: the_room_of_a_large_reply_is_given_back |
//! | a pattern | `MATCH_STEPS_MAX` in a slice, or for a request | `tests/bounded.rs`: a_pattern_that_would_take_hours_is_refused; `tests/bounds.rs`: names_that_are_asked_for_are_few_and_patterns_cheap; `src/command/glob.rs`: a_class_is_not_looked_through_beyond_the_steps |
//! | KEYS, SCAN | `WALK_BYTES_MAX`, `WALK_ENTRIES_PER_TURN`, `SCAN_ENTRIES_MAX`, `SCAN_BYTES_MAX` | `tests/bounded.rs`: walks_over_large_keys_are_answered_and_bounded, a_walk_that_nobody_reads_ends_with_the_timeout, scans_that_find_nothing_in_a_row_make_nobody_wait |
//! | many names of commands, settings, clients | `NAMES_ASKED_MAX` | `tests/bounds.rs`: names_that_are_asked_for_are_few_and_patterns_cheap |
//! | LCS | `LCS_STEPS_MAX` | `src/command/lcs.rs`: what_takes_too_long_is_refused |
//! | subscriptions | `SUBSCRIPTIONS_MAX` of a client, `SUBSCRIPTION_NAMES_MAX` of all | `src/pubsub.rs`: what_waits_is_bounded_and_so_is_what_a_client_has, who_has_gone_leaves_a_piece_at_a_time; `tests/pubsub.rs`: subscriptions_are_bounded_and_counted |
//! | messages | `MESSAGES_BYTES_MAX`, given out for `MESSAGES_NS_MAX` a turn; `PATTERN_STEPS_MAX` for all patterns, `PATTERN_STEPS_PER_TURN` | `tests/pubsub.rs`: ten_thousand_subscribers_make_nobody_wait, who_publishes_too_much_waits, what_a_transaction_publishes_is_bounded, many_patterns_make_nobody_wait; `src/pubsub.rs`: patterns_that_take_too_long_are_refused, a_message_for_many_patterns_takes_little |
//! | messages that are not taken | `SUBSCRIBER_UNSENT_BYTES_MAX`, `SUBSCRIBER_STUCK_BYTES_MAX` | `tests/pubsub.rs`: a_slow_subscriber_is_closed_and_others_go_on, long_messages_close_nobody_who_takes_them |
//! | messages for other nodes | `MESSAGES_TOLD_BYTES_MAX`, each `MESSAGE_TOLD_BYTES` more | `tests/pubsub.rs`: who_publishes_does_not_fill_the_links, what_a_transaction_publishes_reaches_all_in_order |
//! | MONITOR | `MONITORS_MAX`; `MONITOR_BYTES_MAX` a line, `MONITOR_LINES_BYTES_MAX` a turn | `tests/pubsub.rs`: who_monitors_sees_what_is_executed, what_monitors_are_not_told_of_is_counted; `src/pubsub.rs`: who_monitors_is_told_what_comes_later |
//! | BITCOUNT, BITPOS, BITOP | `BITS_BYTES_PER_TURN`, `BITS_BYTES_MAX` | `tests/bounded.rs`: bits_of_long_values_make_nobody_wait, combining_long_values_in_a_row_makes_nobody_wait |
//! | BITFIELD | `ARGS_MAX`; its key is noted once for who watches, however many operations there are | `tests/bounded.rs`: many_operations_on_a_long_key_note_it_once |
//! | DUMP, RESTORE | `DUMP_BYTES_MAX`; what a payload announces is believed as far as its bytes can become that | `tests/dump.rs`: what_is_too_long_is_refused; `src/dump.rs`: what_is_no_string_is_told, any_sealed_bytes_are_read_without_harm; `tests/corpora.rs`: any_payload_is_a_value_or_a_mistake |
//! | numbers | 64 bits, `DECIMAL_BYTES_MAX` | `src/proto/number.rs`: what_is_no_integer; `src/command/decimal.rs`: what_is_no_number |
//! | MULTI, WATCH | `TRANSACTION_BYTES_MAX`, `WATCHED_KEYS_MAX` | `tests/bounds.rs`: what_a_client_queues_is_bounded, a_client_watches_no_more_keys_than_it_may |
//! | CLIENT PAUSE | `PAUSE_MS_MAX`; what is held up counts as held | `tests/endings.rs`: who_goes_during_a_pause_waits_no_more; `tests/commands/connection.rs`: client |
//! | CLIENT SETNAME and SETINFO | `NAME_BYTES_MAX`, printable, counted | `tests/bounds.rs`: what_clients_call_themselves_counts |
//! | keys that collide | `PAGE_ENTRIES_MAX`, `DIRECTORY_PLACES_MAX`: a page that no split separates is hashed with a key of its own | `src/store/spread.rs`: inputs_of_the_fuzzer_cost_a_bounded_amount_of_work, colliding_keys_cost_a_bounded_multiple_of_random_ones, no_step_depends_on_how_keys_are_spread |
//! | keys that end at once, FLUSH after FLUSH | `SWEEP_NS_MAX`, `RECLAIM_ENTRIES_PER_TURN`, `LET_GO_BYTES_PER_TURN` | `tests/bounded.rs`: keys_that_are_due_go_at_once_among_many_others, flushes_in_a_row_leave_nothing_behind; `tests/long.rs`: what_goes_is_given_back_in_short_turns |
//! | more keys than the memory limit | refused, or evicted, `EVICTION_NS_MAX` a turn | `tests/memory.rs`: a_flood_of_mixed_sizes_stays_under_the_limit, without_eviction_writes_are_refused_and_reads_answered |
//! | more than the system has | an error, or a close; `sys::reserve` for what cannot fail | `tests/bounded.rs`: where_the_system_has_no_memory_writes_are_refused_and_all_else_goes_on, a_request_that_the_system_has_no_memory_for_is_refused_alone, clients_whose_buffers_find_no_memory_go_alone |
//! | what an error, the slow log or CLIENT LIST shows again | `ECHO_BYTES_MAX`, `SLOW_ARGUMENTS_MAX`, `SLOW_ARGUMENT_BYTES_MAX`, `SLOW_ENTRIES_MAX` | `src/command/tests.rs`: what_is_echoed_is_cut_and_printable; `src/command/slowlog.rs`: long_requests_are_cut_as_redis_cuts_them; `src/stats.rs`: errors_are_counted_by_their_code |
//! | what makes a line in the log | `NOISE_MS`, `NOISE_MS_MAX`, `LOG_LINE_BYTES_MAX`, no control character | `tests/bounded.rs`: what_is_no_request_leaves_few_lines_in_the_log, shortages_of_memory_that_come_and_go_leave_few_lines_in_the_log; `src/log.rs`: a_line_has_level_time_and_text_and_no_control_characters |
//! | who comes from elsewhere | protected mode; it may send as little as who has not authenticated | `tests/smoke/protected.sh` |
//! | **The bus** |  |  |
//! | a connection from anywhere | `STRANGERS_MAX`, `HELLO_MS`; where there is no secret, listed addresses alone | `tests/cluster/strangers.rs`: half_a_hello_and_silence_are_closed, two_hundred_strangers_at_once_keep_nobody_out, without_a_cluster_nothing_listens_for_a_bus |
//! | a hello, a proof | `STRANGER_BYTES_MAX`; nothing is shown to who has not proved to know the secret | `src/cluster/tests/handshake.rs`: a_stranger_is_shown_no_list_and_no_proof, who_says_to_be_somebody_else_is_no_link, strangers_are_bounded_and_their_junk_is_told; `tests/cluster/strangers.rs`: a_node_without_the_secret_is_refused |
//! | any bytes at all | the link is closed, one line in the log | `tests/cluster/strangers.rs`: junk_on_the_bus_harms_nobody, hellos_that_are_spoilt_or_said_again_harm_nobody; `tests/corpora.rs`: frames_of_any_kind_keep_a_node_sound; `src/cluster/wire/tests.rs`: any_bytes_are_looked_at_without_harm |
//! | a node's frames | `FRAME_BYTES_MAX`, `LINK_STREAMS_MAX`, `REQUEST_BYTES_MAX`; what was not asked for ends the link | `src/cluster/tests/messages.rs`: what_nobody_should_send_ends_the_link, random_frames_do_no_harm; `src/cluster/inbox.rs`: what_cannot_be_is_noticed, no_more_is_reserved_than_comes; `src/proto/typed.rs`: junk_is_told_and_never_panics |
//! | a node's flood, its silence | `LINK_LEFT_BYTES_MAX`, `LINK_UNSENT_BYTES`, `LINK_HELD_BYTES_MAX`, `SILENCE_MS` | `src/cluster/tests/messages.rs`: who_does_not_take_its_answers_waits_and_is_given_up_at_last; `tests/cluster/slow.rs`: two_nodes_that_flood_each_other_go_on; `tests/cluster/failures.rs`: a_node_that_hangs_is_given_up_and_found_again |
//! | requests for other nodes | `REPLIES_WAITING_MAX`, `REPLIES_WAITING_BYTES`, `LINK_REQUESTS_MAX`, `LINK_BYTES_MAX` | `tests/cluster/slow.rs`: a_pipeline_for_a_node_that_stands_still_costs_its_limit, a_client_that_does_not_read_forwarded_replies_costs_its_limit; `tests/cluster/mends.rs`: many_costly_requests_of_one_client_hold_up_no_other_one |
//! | a node's answers | `FORWARDED_REPLY_BYTES_MAX`, `TYPED_DEPTH_MAX` | `tests/cluster/values.rs`: an_answer_of_more_than_a_gigabyte_is_not_passed_on; `tests/cluster/slow.rs`: unread_answers_of_several_nodes_cost_their_limit |
//! | **The box** |  |  |
//! | the cluster's file | 1 MiB, `NODES_MAX`; an error names its line | `src/config/nodes.rs`: every_mistake_has_its_words, what_is_too_much_is_refused; `tests/corpora.rs`: any_file_is_nodes_or_one_mistake |
//! | files with a password or a secret, options | 64 KiB, of which the first line; an error names the option | `src/config.rs`: mistakes_name_the_option, options_are_read_and_have_defaults; `tests/lifecycle.rs`: wrong_usage_is_told_and_ends_with_2 |
//! | a snapshot's file | `SNAPSHOT_BLOCK_BYTES_MAX`, checksums; what is bad is refused, stays, and is moved aside where that is asked for | `tests/snapshot/loading.rs`: a_bad_file_is_refused_and_stays_or_is_moved_aside, no_torn_or_damaged_file_is_taken_for_a_whole_one, what_is_no_file_or_may_not_be_read_is_refused |
//! | a snapshot of more than there is memory for | the memory policy, while it is loaded; `LOADING_NS_MAX` a turn | `tests/snapshot/loading.rs`: the_memory_limit_holds_while_keys_are_loaded, a_full_server_has_all_its_keys_again_whatever_clients_hold; `tests/snapshot/bounds.rs`: snapshots_and_their_loading_make_nobody_wait |
//! | a snapshot's disk that is slow, full, fails, and its process that is killed | `SNAPSHOT_NS_MAX` a turn, and `SNAPSHOT_PRESSED_NS_MAX` of what clients have, `SNAPSHOT_TRAIL_BYTES`, `SNAPSHOT_HELD_BYTES` or `SNAPSHOT_PART`, `SNAPSHOT_AGAIN_BYTES`, `SNAPSHOT_LAST_KEYS`; the snapshot before it stays | `tests/snapshot/bounds.rs`: where_keys_change_faster_than_the_disk_takes_them_the_snapshot_is_given_up_and_nobody_waits, keys_that_change_again_and_again_are_noted_once, a_server_that_is_kept_busy_makes_its_snapshots, what_changes_faster_than_it_can_be_copied_is_given_up_after_a_bounded_part_of_the_disk; `tests/snapshot/errors.rs`: a_full_disk_leaves_the_old_snapshot, a_disk_that_fails_or_a_writer_that_ends_at_any_call_leaves_a_whole_snapshot; `tests/snapshot/kills.rs`: a_server_that_is_killed_leaves_the_old_snapshot_or_the_new_one, a_writer_that_is_killed_leaves_the_old_snapshot_or_the_new_one_and_the_server_goes_on |
//! | the environment | HOME for the cluster's file, MEMENTO_PASSWORD | `src/config.rs`: the_file_is_in_the_home_directory_where_none_is_named; `tests/smoke/protected.sh` |
//! | a socket's path | what is no stale socket is left alone; its mode holds from the first moment | `tests/lifecycle.rs`: what_is_no_socket_is_left_alone, a_unix_socket_serves_like_a_port; `tests/endings.rs`: a_path_that_leads_to_another_server_is_left_to_it |
//! | signals | two end it, others of terminals and pipes do nothing | `tests/endings.rs`: signals_of_terminals_and_pipes_end_nothing; `tests/lifecycle.rs`: the_first_signal_waits_for_what_is_owed, the_second_signal_waits_for_nothing |
//! | standard output that is full, closed, stopped or as long as it may be | the line is dropped and counted | `tests/lifecycle.rs`: a_full_standard_output_blocks_nobody, a_closed_standard_output_ends_nobody, a_full_disk_under_standard_output_ends_nobody, a_terminal_that_nobody_reads_blocks_nobody, a_log_that_is_as_long_as_it_may_be_ends_nobody |
//! | what is inherited: descriptors, limits | no descriptor is taken for a standard stream; `DESCRIPTORS_RESERVED` | `tests/lifecycle.rs`: who_inherits_no_standard_streams_serves_all_the_same, few_descriptors_mean_few_clients |
//! | the wall clock | it is shown and converted, and ends no key | `src/server/engine.rs`: a_wall_clock_that_jumps_by_years_ends_and_keeps_no_key |
//! | calls that fail, fall short, come late | each is made again, or ends one connection | `src/server/tests.rs`: no_reply_is_lost_or_doubled_under_faults; `src/server/faults.rs`: a_broken_connection_costs_its_own_replies_alone, a_cluster_whose_links_break_does_what_it_says |
//! | **A server that the tools talk to** |  |  |
//! | what is no answer, one nested too deep or of too many values | `REPLY_DEPTH_MAX`, `REPLY_VALUES_MAX`, `ANSWER_BYTES_MAX`, a deadline for the whole; what is announced is not believed | `src/client/reply/tests.rs`: what_is_no_reply_is_shown, depth_has_a_bound, values_have_a_bound, what_is_announced_costs_nothing; `src/client/resp/tests.rs`: a_deadline_is_for_the_whole_and_not_for_each_byte; `tests/ffi.rs`: any_answer_is_borne, no_argument_is_too_absurd |
//! | an answer without an end | `ANSWER_BYTES_MAX`, or what memory there is; a pipe is copied | `src/client/resp/tests.rs`: a_reply_without_an_end_has_a_bound; `src/benchmark/mod.rs`: an_answer_without_an_end_is_an_error; `tests/tools.rs`: an_answer_without_an_end_is_an_error_where_no_more_can_be_held, a_million_lines_pass_with_both_directions_full |
//! | wrong answers, half answers, none | an error, with a wrong answer escaped and cut | `tests/tools.rs`: the_benchmark_finds_a_wrong_answer_in_every_part, a_connection_lost_before_the_answer_is_an_error; `src/benchmark/mod.rs`: a_server_that_does_not_answer_is_an_error |
//! | what a terminal would obey | `\x1b` and the like in its place | `src/cli/show.rs`: people_see_dates_and_nothing_that_a_terminal_would_obey; `tests/tools.rs`: a_terminal_is_shown_nothing_that_it_would_obey |

/// The keyspace is cut into so many slots: CRC16 of the key, modulo this.
pub const SLOTS: usize = 8192;

/// A page of a slot's index holds at most so many entries; a fuller one splits in two.
pub const PAGE_ENTRIES_MAX: usize = 512;

/// Two buddy pages with so many entries together become one again: well under half of a page, so that a page that was
/// just merged is far from the next split.
pub const PAGE_MERGE_ENTRIES_MAX: usize = PAGE_ENTRIES_MAX * 3 / 8;

/// A slot's directory may have so many places for each full page that its entries would make. Evenly spread keys need
/// two and a half (the fullest page decides when a directory doubles); more is asked for only by crafted ones.
pub const DIRECTORY_PLACES_MAX: usize = 8;

/// A value longer than this is kept in a buffer of its own, shared with the replies that send it: below, a copy
/// into the reply costs less than a piece more in a gathered send.
pub const INLINE_VALUE_BYTES_MAX: usize = 4 * 1024;

/// A value may be so long (Redis's `proto-max-bulk-len`).
pub const VALUE_BYTES_MAX: usize = 512 << 20;

/// A line of the text protocol may be so long, its end not counted.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// What who has not authenticated may send at a time: a word of a RESP request, or a line (Redis's bound).
pub const UNAUTHENTICATED_BYTES_MAX: usize = 16 * 1024;

/// How many words such a request may have (Redis's bound).
pub const UNAUTHENTICATED_ARGS_MAX: usize = 10;

/// A RESP request may have so many words.
pub const ARGS_MAX: usize = 1 << 20;

/// The line with a length in a RESP request may be so long before it is taken for nonsense (Redis's bound).
pub const HEADER_BYTES_MAX: usize = 64 * 1024;

/// A RESP request may be so large in all (Redis's bound for its query buffer).
pub const REQUEST_BYTES_MAX: usize = 1 << 30;

/// A word of a RESP request longer than this is received straight into what will be stored.
pub const RECEIVED_WHOLE_BYTES_MAX: usize = 32 * 1024;

/// So much is received at a time, and so is the quantum of input that a client gets in a turn. Tried elsewhere:
/// 4 to 8 events of this size keep a turn under a millisecond.
pub const RECEIVE_BYTES: usize = 16 * 1024;

/// Once so many bytes have arrived, they are executed before more are received.
pub const RECEIVE_BYTES_PER_BATCH: usize = 4 * RECEIVE_BYTES;

/// So many requests are parsed before they are executed: enough that fetching what one touches overlaps with what the
/// others do, and few enough that all of it stays in the cache nearest to the processor.
pub const BATCH_REQUESTS_MAX: usize = 64;

/// So many brief commands share a reading of the clock.
pub const RUN_CALLS_MAX: u32 = BATCH_REQUESTS_MAX as u32;

/// Of a word that is received straight into what will be stored, so much at a time: the kernel makes each of its pages
/// when the first byte comes, which takes longer than to receive it.
pub const LONG_RECEIVE_BYTES_MAX: usize = 128 * 1024;

/// A turn ends after so long, however cheap its requests were to send; who is left is served in the next one. A single
/// request is never cut.
pub const TURN_NS_MAX: u64 = 750_000;

/// A turn ends when it has moved so many bytes, in and out together; who is left is served in the next one.
pub const TURN_BYTES_MAX: usize = 256 * 1024;

/// So much reply is made for one client in a turn (copied bytes); the rest of its requests wait for the next one.
pub const TURN_REPLY_BYTES: usize = 64 * 1024;

/// A client that leaves so much of its replies unread is not read from until it has taken half of it.
pub const OUTPUT_SOFT_BYTES_MAX: usize = 256 * 1024;

/// One reply may be so large; values that are sent from where they are stored do not count. A client that asks
/// for more is closed, since nothing smaller could be told from the whole.
pub const OUTPUT_HARD_BYTES_MAX: usize = 64 << 20;

/// What all clients together make the server hold may take this part of the memory limit, or of the box's memory where
/// there is none, unless something else is said: more would be taken from the keys.
pub const CLIENTS_MEMORY_PART: u64 = 8;

/// Where that part is the bound, a long word that one client is sending may take so much of the limit, or of the box's
/// memory, before it counts: an eighth of a small limit is less than many a value that fits it.
pub const WORD_MEMORY_PART: u64 = 2;

/// Of clients that go because all together make the server hold too much, so many go in a turn.
pub const CLIENTS_EVICTED_PER_TURN_MAX: usize = 64;

/// Values sent from where they are stored that one client may pin before its next requests wait.
pub const OUTPUT_PINNED_BYTES: usize = 4 << 20;

/// So much is received from another node at a time: a piece of a long value.
pub const BUS_RECEIVE_BYTES: usize = 64 * 1024;

/// So much is sent to another node in a turn.
pub const BUS_SEND_BYTES_PER_TURN: usize = 256 * 1024;

/// An answer of other nodes may be so large: all of it is held here before the first byte goes to the client, so that
/// a link that breaks meanwhile makes it an error and not a half. As large as a request may be.
pub const FORWARDED_REPLY_BYTES_MAX: u64 = REQUEST_BYTES_MAX as u64;

/// So many replies of one client may be waited for at a time before its next requests wait too.
pub const REPLIES_WAITING_MAX: usize = 256;

/// The requests of one client that other nodes have not answered may have so many bytes before its next ones wait: what
/// one client asks of a node must not keep all others waiting that ask it too.
pub const REPLIES_WAITING_BYTES: u32 = 64 * 1024;

/// One send takes at most so many bytes: the kernel copies them meanwhile, and a socket that has room for megabytes would
/// keep everybody else waiting for milliseconds.
pub const SEND_BYTES_MAX: usize = 256 * 1024;

/// One send gathers at most so many pieces (`IOV_MAX` is 1024; beyond a few dozen nothing is won).
pub const SEND_PIECES_MAX: usize = 64;

/// The pool keeps so many buffers at most ...
pub const POOL_BUFFERS_MAX: usize = 32;

/// ... and none that is larger than this: one client's long line must not stay for ever.
pub const POOL_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// So many reports are taken from the kernel at a time.
pub const EVENTS_MAX: usize = 128;

/// So many connections are accepted in a turn; the level-triggered listener brings the others back.
pub const ACCEPTS_PER_TURN_MAX: usize = 64;

/// Connections that may be held at once, where nothing else is said.
pub const CLIENTS_MAX: usize = 10_000;

/// Who connects has so long to send a first whole request, where nothing else is said.
pub const FIRST_REQUEST_SECONDS: u64 = 120;

/// Clients are looked through for those who have not sent it in time at most so often.
pub const NEWCOMERS_SCAN_MS: u64 = 1000;

/// So many connections beyond a limit may still be read from, so that the refusal arrives.
pub const REFUSED_MAX: usize = 16;

/// Descriptors kept back for what is not a client: listeners, signals, the log, the cluster, `REFUSED_MAX`.
pub const DESCRIPTORS_RESERVED: usize = 32;

/// After descriptors or memory ran out, accepting is tried again so often.
pub const ACCEPT_RETRY_MS: u64 = 100;

/// A connection that we end is listened to for so long, so that the peer gets our last words: a close with unread
/// bytes would reset the connection and take them away.
pub const LINGER_MS: u64 = 2000;

/// At the end, clients that do not take what they are owed are waited for so long.
pub const SHUTDOWN_MS: u64 = 5000;

/// A walk over all keys (KEYS) looks at so many entries in a turn.
pub const WALK_ENTRIES_PER_TURN: usize = 2048;

/// What the walks of all clients together may have found, in bytes; who goes beyond gets an error that names SCAN.
pub const WALK_BYTES_MAX: usize = 64 << 20;

/// What one SCAN may answer, in bytes of keys; only keys of many megabytes come to that.
pub const SCAN_BYTES_MAX: usize = 16 << 20;

/// Matching a glob pattern may look at so many bytes in one slice of KEYS, or one SCAN: some ten milliseconds. Usual
/// patterns on usual keys take a hundredth of it; one that takes more is answered with an error.
pub const MATCH_STEPS_MAX: usize = 16 << 20;

/// What a client calls itself may be so long: it stands in every line about it.
pub const NAME_BYTES_MAX: usize = 1024;

/// CONFIG GET, COMMAND INFO, COMMAND DOCS, LATENCY HISTOGRAM and CLIENT LIST may be asked for so many names at a time: each
/// may cost much and answers little, and a single request is never cut.
pub const NAMES_ASKED_MAX: usize = 1024;

/// CLIENT PAUSE holds clients up for at most so long, a year: a longer one could be ended only by a signal.
pub const PAUSE_MS_MAX: i64 = 365 * 86_400_000;

/// What a client may queue between MULTI and EXEC.
pub const TRANSACTION_BYTES_MAX: usize = 64 << 20;

/// A client may watch so many keys: to begin and to end that takes some microseconds a key, in one piece.
pub const WATCHED_KEYS_MAX: usize = 10_000;

/// A client may have so many subscriptions, and begin or end so many at a time: that takes some tenths of a microsecond each,
/// in one piece.
pub const SUBSCRIPTIONS_MAX: usize = 10_000;

/// Of the subscriptions of clients that have gone, so many are ended in a turn.
pub const SUBSCRIPTIONS_ENDED_AT_ONCE: usize = 512;

/// So many channels, and so many patterns, may have subscribers: PUBSUB CHANNELS and PUBLISH look at all, in one piece.
pub const SUBSCRIPTION_NAMES_MAX: usize = 1 << 17;

/// For one message, matching patterns may look at so many bytes: some milliseconds, in one piece.
pub const PATTERN_STEPS_MAX: usize = 4 << 20;

/// When it has looked at so many in a turn, who publishes waits for the next one, and events of keys are left out.
pub const PATTERN_STEPS_PER_TURN: usize = 1 << 20;

/// Keys of more bytes have no events: these would be copied several times.
pub const EVENT_KEY_BYTES_MAX: usize = 64 * 1024;

/// Messages on their way may take about so many bytes; who publishes then waits, and events of keys are left out.
pub const MESSAGES_BYTES_MAX: usize = 4 << 20;

/// In a turn, messages are given out for so long ...
pub const MESSAGES_NS_MAX: u64 = 200_000;

/// So many bytes of messages other nodes may have been told and not answered before who publishes waits: far from what
/// fills a link ([`LINK_REQUESTS_MAX`], [`LINK_BYTES_MAX`]), since others have requests for these nodes, too ...
pub const MESSAGES_TOLD_BYTES_MAX: usize = 1 << 20;

/// ... where each counts as so many more.
pub const MESSAGE_TOLD_BYTES: usize = 512;

/// ... the clock is asked after so many ...
pub const MESSAGES_AT_ONCE: usize = 16;

/// ... or after so many bytes.
pub const MESSAGE_BYTES_AT_ONCE: usize = 128 * 1024;

/// So many clients may monitor what is executed: each is sent all of it.
pub const MONITORS_MAX: usize = 16;

/// MONITOR shows so many bytes of a request's words, of which each takes up to four.
pub const MONITOR_BYTES_MAX: usize = 16 * 1024;

/// In a turn it tells of requests until its lines have so many bytes.
pub const MONITOR_LINES_BYTES_MAX: usize = 256 * 1024;

/// A subscriber is closed that is owed more bytes than this when the next message comes, the first of the values that are
/// sent from where they are stored aside (Redis has the same bound) ...
pub const SUBSCRIBER_UNSENT_BYTES_MAX: usize = 32 << 20;

/// ... or so many, if it could take some ...
pub const SUBSCRIBER_STUCK_BYTES_MAX: usize = 8 << 20;

/// ... and has taken nothing for so long.
pub const SUBSCRIBER_STUCK_MS: u64 = 1000;

/// What memento-cli and memento-benchmark take for one answer, before it ends in their memory: a server that never ends one
/// must not fill the box that asks. Answers that are copied through a pipe are not held, and so have no bound.
pub const ANSWER_BYTES_MAX: usize = 1 << 30;

/// A reply that our own RESP client takes is nested at most so deep: nobody's comes to half of it, and who shows one to
/// people may walk it by recursion.
pub const REPLY_DEPTH_MAX: usize = 32;

/// ... and has at most so many values, each with a row of its own of 16 bytes: those of three bytes would else take more than
/// all bytes of the reply may.
pub const REPLY_VALUES_MAX: usize = 1 << 26;

/// So long a wrong password is answered after; nobody else waits for it.
pub const WRONG_PASSWORD_MS: u64 = 200;

/// SCAN looks at no more entries than this in one call, whatever COUNT says.
pub const SCAN_ENTRIES_MAX: usize = 2048;

/// Of what expired, so much is taken back in a turn ...
pub const SWEEP_NS_MAX: u64 = 200_000;

/// ... and the clock is asked after so many entries.
pub const SWEEP_ENTRIES_AT_ONCE: usize = 64;

/// So many entries of a flushed store are taken back in a turn.
pub const RECLAIM_ENTRIES_PER_TURN: usize = 512;

/// So many entries at least are looked at for one that is to be evicted, where nothing else is said. They come in groups
/// of about a dozen anyway; only a small store has fewer at hand.
pub const EVICTION_SAMPLES: usize = 8;

/// ... and so many where most are asked for.
pub const EVICTION_SAMPLES_MAX: usize = 64;

/// Before a command that needs memory, and once more in each turn that begins or ends beyond the memory limit, room is
/// made for so long; what is missing then is made in the next turns. A few hundred entries go in that time.
pub const EVICTION_NS_MAX: u64 = 250_000;

/// In a turn in which keys were evicted, what room they left between others is taken back for so long.
pub const PACKING_NS_MAX: u64 = 150_000;

/// The clock is asked after so many evicted entries.
pub const EVICTIONS_UNTIMED_MAX: usize = 16;

/// So much memory of long values that nobody needs any more is given back to the system in a turn: some 0.05 ms, 0.15
/// where it takes long (tried elsewhere; twice as much comes near to the 0.3 ms that are too long).
pub const LET_GO_BYTES_PER_TURN: usize = 512 * 1024;

/// A number in a float command may be written with so many characters (Redis has the same bound).
pub const DECIMAL_BYTES_MAX: usize = 5 * 1024;

/// LCS compares at most so many pairs of bytes, with two bytes of memory each: it is done in one piece, and this takes
/// some milliseconds.
pub const LCS_STEPS_MAX: usize = 4 << 20;

/// BITCOUNT and BITPOS look at so many bytes in a turn: some tenths of a millisecond.
pub const BITS_BYTES_PER_TURN: usize = 1 << 20;

/// BITOP combines values of at most so many bytes together, and within a transaction BITCOUNT and BITPOS look at no more:
/// that is done in one piece, and takes some milliseconds, most of which the system needs to make the result's memory.
pub const BITS_BYTES_MAX: usize = 8 << 20;

/// DUMP and RESTORE take values of at most so many bytes: it is done in one piece, and this takes some ten milliseconds.
pub const DUMP_BYTES_MAX: usize = 4 << 20;

/// A reply between nodes is nested at most so deep; none of ours comes to half of it.
pub const TYPED_DEPTH_MAX: usize = 16;

/// What is echoed of a client's words in an error is cut here.
pub const ECHO_BYTES_MAX: usize = 128;

/// Log lines that outsiders can cause are written so far apart.
pub const NOISE_MS: u64 = 1000;

/// What happens again and again, such as refusals of the same node, is logged less and less often, down to once in so
/// many milliseconds.
pub const NOISE_MS_MAX: u64 = 60_000;

/// The slow log keeps so many words of a request (Redis has the same bound) ...
pub const SLOW_ARGUMENTS_MAX: usize = 32;

/// ... and so many bytes of each (and this one).
pub const SLOW_ARGUMENT_BYTES_MAX: usize = 128;

/// The slow log may be told to keep so many requests.
pub const SLOW_ENTRIES_MAX: usize = 10_000;

/// Rates are told from counters that are looked at so often ...
pub const RATE_SAMPLE_MS: u64 = 100;

/// ... and so many looks are remembered: what is told is over 1.6 seconds, as in Redis.
pub const RATE_SAMPLES: usize = 16;

/// An idle client is closed after at most so long, where it is closed at all.
pub const TIMEOUT_SECONDS_MAX: u64 = 365 * 86_400;

/// A log line is at most so long: what `poll(2)` promises that a pipe takes at once.
pub const LOG_LINE_BYTES_MAX: usize = 4096;

/// A message between nodes travels in pieces of at most so many bytes, and others go between them.
pub const BUS_PIECE_BYTES_MAX: usize = 64 * 1024;

/// A reply between nodes of more bytes travels in pieces too, so that shorter ones overtake it.
pub const BUS_WHOLE_REPLY_BYTES_MAX: usize = 16 * 1024;

/// The kernel takes no more bytes for a node when so many are not sent yet: what it has taken, nothing can overtake.
pub const BUS_KERNEL_BYTES: u32 = 128 * 1024;

/// A frame between nodes may be so long, its header included.
pub const FRAME_BYTES_MAX: usize = BUS_PIECE_BYTES_MAX + 64;

/// A frame from a peer that has not shown to be a node of ours may be so long. The list of all nodes fits.
pub const STRANGER_BYTES_MAX: usize = 16 * 1024;

/// A cluster has at most so many nodes.
pub const NODES_MAX: usize = 256;

/// So many accepted connections may be no links that are up; the oldest goes for one more.
pub const STRANGERS_MAX: usize = NODES_MAX + 16;

/// A node that cannot be reached for so long is told of in the log.
pub const MISSED_MS: u64 = 5000;

/// So many long messages take turns on a link; those behind them wait.
pub const LINK_STREAMS_MAX: usize = 16;

/// Requests to one node that may be unanswered before whoever asks is to stop ...
pub const LINK_REQUESTS_MAX: usize = 16 * 1024;

/// ... and their bytes, sent or not; long values that lie where they are stored do not count.
pub const LINK_BYTES_MAX: usize = 4 << 20;

/// Requests of one node that may be unanswered at all: many that were asked at once go over [`LINK_REQUESTS_MAX`].
pub const LINK_REQUESTS_HARD_MAX: usize = (1 << 20) - 1;

/// While so many copied bytes wait to be sent to a node, no more of its requests are executed: it does not take its answers.
pub const LINK_UNSENT_BYTES: usize = 4 << 20;

/// Answers to one node that wait to be asked for, or to be sent, may take so much, values that lie where they are stored
/// aside; whose answer finds no room gets an error.
pub const LINK_HELD_BYTES_MAX: usize = 256 << 20;

/// Received of a node and not looked at yet: beyond this it is not read from while what is there can go on.
pub const LINK_LEFT_BYTES: usize = 256 * 1024;

/// A node that lets so much lie, since it does not take its answers, is given up.
pub const LINK_LEFT_BYTES_MAX: usize = 64 << 20;

/// A block of a snapshot's file has at most so many bytes.
pub const SNAPSHOT_BLOCK_BYTES_MAX: usize = 1 << 20;

/// A new link's hellos must be done after so long.
pub const HELLO_MS: u64 = 1000;

/// A link whose hellos are done waits for so long until it is welcomed.
pub const SPARE_MS: u64 = 3000;

/// A ping is sent on each link so often.
pub const HEARTBEAT_MS: u64 = 500;

/// A link on which nothing came for so long is broken.
pub const SILENCE_MS: u64 = 1500;

/// A link that could not be made is tried again after so long, then after twice that ...
pub const REDIAL_MS: u64 = 50;

/// ... and so on, up to this.
pub const REDIAL_MS_MAX: u64 = 1000;

/// Where keys change, the next snapshot is made after so long unless something else is said.
pub const SNAPSHOT_SECONDS: u64 = 3600;

/// A snapshot may take so much of each turn while it is made ...
pub const SNAPSHOT_NS_MAX: u64 = 100_000;

/// ... and so much more of it that clients have less, the nearer it is to being given up since keys change fast.
pub const SNAPSHOT_PRESSED_NS_MAX: u64 = TURN_NS_MAX / 2;

/// What is told of keys goes to the process that writes it so many bytes at a time.
pub const SNAPSHOT_CHUNK_BYTES: usize = 64 * 1024;

/// So many changed keys are told of at once, before it is looked what time it is.
pub const SNAPSHOT_KEYS_AT_ONCE: usize = 64;

/// So many changed keys at most are the last ones, all told of in one turn.
pub const SNAPSHOT_LAST_KEYS: usize = 512;

/// What is told of them together is not much more than this, since what they share with the store cannot change in place,
/// unless they change faster than that is sent.
pub const SNAPSHOT_LAST_BYTES: u64 = 16 << 20;

/// The names of keys that changed and are not told of may take this part of the memory that the store uses, and the more
/// they take, the more may what is told before it can be sent, up to as much ...
pub const SNAPSHOT_PART: usize = 50;

/// ... or so many bytes, if that is more, the names ...
pub const SNAPSHOT_TRAIL_BYTES: usize = 2 << 20;

/// ... and so many what is told ...
pub const SNAPSHOT_HELD_BYTES: usize = 8 << 20;

/// ... and no more than these either, which are moved, and given back, at once.
pub const SNAPSHOT_PART_BYTES_MAX: usize = 16 << 20;

/// No more keys are told of in a step that is not the last one when those before are so many bytes.
pub const SNAPSHOT_STEP_BYTES: u64 = 256 * 1024;

/// What is told of changed keys, when all others are told of, may be so many bytes more than what these took.
pub const SNAPSHOT_AGAIN_BYTES: u64 = 64 << 20;

/// Where nothing may go, what is loaded may take this part more than the memory limit: keys lie otherwise than they did in
/// the full server that wrote them, and what went while they were written goes later than what came.
pub const LOADING_SLACK_PART: u64 = 16;

/// Loading takes so much of each turn.
pub const LOADING_NS_MAX: u64 = 500_000;

/// How far loading is, the log tells after so long, and again.
pub const LOADING_TOLD_MS: u64 = 5000;

/// The end's snapshot is given up when nothing was heard of its writer for so long.
pub const LAST_SNAPSHOT_MS: u64 = 120_000;

const _: () = assert!(SNAPSHOT_CHUNK_BYTES <= SNAPSHOT_BLOCK_BYTES_MAX);
const _: () = assert!(SNAPSHOT_NS_MAX <= TURN_NS_MAX / 3 && LOADING_NS_MAX < TURN_NS_MAX);
const _: () = assert!(EVICTION_SAMPLES <= EVICTION_SAMPLES_MAX && EVICTION_NS_MAX <= TURN_NS_MAX / 3);
// One value that is replaced by another of this length fits the limit.
const _: () = assert!(WORD_MEMORY_PART >= 2 && WORD_MEMORY_PART < CLIENTS_MEMORY_PART);
const _: () = assert!(SLOTS.is_power_of_two() && SLOTS <= 1 << 13);
const _: () = assert!(PAGE_MERGE_ENTRIES_MAX * 2 < PAGE_ENTRIES_MAX);
const _: () = assert!(DIRECTORY_PLACES_MAX > 2);
const _: () = assert!(RECEIVED_WHOLE_BYTES_MAX > INLINE_VALUE_BYTES_MAX);
// Places in a request are counted in 32 bits.
const _: () = assert!(REQUEST_BYTES_MAX + RECEIVED_WHOLE_BYTES_MAX + RECEIVE_BYTES < u32::MAX as usize);
const _: () = assert!(VALUE_BYTES_MAX < u32::MAX as usize);
const _: () = assert!(LINE_BYTES_MAX < u32::MAX as usize);
const _: () = assert!(RECEIVE_BYTES <= TURN_BYTES_MAX);
// What a turn receives must not let go more than a turn gives back.
const _: () = assert!(LONG_RECEIVE_BYTES_MAX <= TURN_BYTES_MAX && TURN_BYTES_MAX <= LET_GO_BYTES_PER_TURN);
const _: () = assert!(TURN_REPLY_BYTES <= OUTPUT_SOFT_BYTES_MAX);
const _: () = assert!(OUTPUT_SOFT_BYTES_MAX < OUTPUT_HARD_BYTES_MAX);
const _: () = assert!(INLINE_VALUE_BYTES_MAX <= TURN_REPLY_BYTES);
const _: () = assert!(SEND_PIECES_MAX <= 1024);
// A common subsequence's length, at most the root of it, is kept in 16 bits.
const _: () = assert!(LCS_STEPS_MAX <= u32::MAX as usize);
const _: () = assert!(LOG_LINE_BYTES_MAX <= 4096);
const _: () = assert!(BUS_WHOLE_REPLY_BYTES_MAX <= BUS_PIECE_BYTES_MAX);
const _: () = assert!(POOL_BUFFER_BYTES_MAX >= RECEIVE_BYTES);
const _: () = assert!(NODES_MAX <= SLOTS && NODES_MAX <= u16::MAX as usize);
const _: () = assert!(STRANGER_BYTES_MAX < FRAME_BYTES_MAX);
// A refusal carries the addresses of all nodes, of at most 19 bytes each.
const _: () = assert!(NODES_MAX * 19 + 64 < STRANGER_BYTES_MAX);
const _: () = assert!(NAME_BYTES_MAX + 256 < STRANGER_BYTES_MAX);
// Two of the largest find room beside what waits for the socket.
const _: () = assert!(2 * OUTPUT_HARD_BYTES_MAX + LINK_UNSENT_BYTES < LINK_HELD_BYTES_MAX);
const _: () = assert!(LINK_REQUESTS_MAX < LINK_REQUESTS_HARD_MAX);
const _: () = assert!(MESSAGES_TOLD_BYTES_MAX / MESSAGE_TOLD_BYTES <= LINK_REQUESTS_MAX / 8);
const _: () = assert!(MESSAGES_TOLD_BYTES_MAX <= LINK_BYTES_MAX / 4);
const _: () = assert!(OUTPUT_SOFT_BYTES_MAX < SUBSCRIBER_STUCK_BYTES_MAX && MESSAGES_NS_MAX <= TURN_NS_MAX / 3);
const _: () = assert!(SUBSCRIBER_STUCK_BYTES_MAX < SUBSCRIBER_UNSENT_BYTES_MAX);
const _: () = assert!(REPLY_VALUES_MAX * 16 <= ANSWER_BYTES_MAX);
// Silence is noticed within two seconds, and one lost ping is not silence.
const _: () = assert!(HEARTBEAT_MS * 2 < SILENCE_MS && SILENCE_MS < 2000);
// A spare link lives until the silence of the other one is noticed.
const _: () = assert!(SILENCE_MS + HELLO_MS < SPARE_MS);
const _: () = assert!(REDIAL_MS < REDIAL_MS_MAX);
