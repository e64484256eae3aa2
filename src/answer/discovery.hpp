// The discovery port: which host to connect to, over HTTP and as bare lines. Knows paths,
// parameters and bodies; the choice itself is choose's.
//
// Most answers differ only in which host they name, and hosts change far less often than they are
// asked for. So what is costly to write, and the answers that are asked for most, are kept ready
// made for as long as the snapshot is the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "answer/client.hpp"
#include "answer/kept.hpp"
#include "answer/traffic.hpp"
#include "answer/world.hpp"
#include "base/clock.hpp"
#include "choose/choose.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// Chooses with the shared cursor and takes the turn.
using Chooser = std::function<Choice(const World& world, const Wish& wish)>;

class Discovery : public Service {
 public:
  // traffic: where its answers are counted.
  Discovery(const World& world, Chooser chooser, std::string_view version, Traffic& traffic);

  Port port() const override { return Port::kDiscovery; }

  // Of the list of hosts only, when that is asked for.
  std::optional<Patience> PatienceOf(const Request& request) const override;
  void AnswerHttp(const Request& request, bool close, std::string& out) override;
  void AnswerLine(const Request& request, std::string& out) override;
  void AnswerBad(int status, std::string_view help, std::string& out) override;

 private:
  // An answer from its header fields to the end of its body.
  struct KeptAnswer {
    Kept kept;
    std::size_t body_at = 0;

    std::string_view bytes() const { return kept.text(); }
    std::string_view body() const { return bytes().substr(body_at); }
  };
  struct KeptNames {
    KeptAnswer text;
    KeptAnswer json;
  };
  // What a request comes to, before it is put into HTTP or into a line.
  struct Finding;

  Finding Find(const Request& request) const;
  Finding FindHost(const Request& request, Route route, bool has_parameters) const;
  Finding FindStatus(const Request& request) const;
  Finding FindList(const Request& request) const;

  std::optional<std::uint64_t> GenerationFor(const Request& request) const;
  const KeptAnswer& NameOf(std::uint32_t host, bool json);
  const KeptAnswer& HostList();
  template <typename WriteBody>
  const KeptAnswer& Update(KeptAnswer& answer, std::string_view content_type,
                           std::optional<std::uint64_t> generation, WriteBody write);

  const World& world_;
  const Chooser chooser_;
  const std::string version_;
  Traffic& traffic_;
  std::vector<KeptNames> names_;  // one per host
  KeptAnswer host_list_{Kept(Kept::Ages::kTold)};
  Kept host_table_;
  std::string scratch_;  // a body that is not kept
};

}  // namespace pg_status
